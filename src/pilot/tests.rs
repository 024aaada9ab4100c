//! Pilots with the fake worker are tested in `tests/it/cluster`; here, what needs no process.

use super::*;

#[test]
fn only_a_signal_that_the_pilot_did_not_send_means_that_the_job_ends() {
    assert!(matches!(outside(WorkerExit::Signal(15), false), WorkerExit::Lost(_)));
    assert_eq!(outside(WorkerExit::Signal(15), true), WorkerExit::Signal(15));
    assert_eq!(outside(WorkerExit::Signal(9), false), WorkerExit::Signal(9));
    assert_eq!(outside(WorkerExit::Code(1), false), WorkerExit::Code(1));
}
