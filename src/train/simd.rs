//! Loops that are compiled once for each instruction set, and run with the best one that the processor has.

/// Defines a function that is compiled once for each instruction set. Its body is a plain loop, which the compiler turns
/// into vectors.
///
/// A closure given to `pulp::Arch::dispatch` would not do: nothing makes the compiler inline a closure into the
/// copy for an instruction set, and a closure that is not inlined is compiled for the oldest set.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),+ $(,)?) $body:block
    ) => {
        $(#[$meta])*
        $visibility fn $name<$life>($($argument: $type),+) {
            struct Task<$life> {
                $($argument: $type),+
            }
            impl<$life> pulp::WithSimd for Task<$life> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) {
                    let Self { $($argument),+ } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Task { $($argument),+ });
        }
    };
}
