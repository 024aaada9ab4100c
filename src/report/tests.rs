//! Pictures of small studies: that they are drawn, and their sizes.

use std::{io, path::Path};

use super::*;
use crate::{
    leaderboard::{
        RankBy, build,
        verdict::{self, Verdict},
    },
    metrics::{Average, Confusion, Scores, Target},
    samples::{self, failed, record, scores, study},
    settings::Value,
    trial::{FailureKind, State},
};

/// Width and height of a PNG. Fails if a pixel cannot be read, or all are white.
fn size(path: &Path) -> (u32, u32) {
    let file = io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.iter().any(|&channel| channel != 255), "a blank picture");
    (info.width, info.height)
}

/// Draws a picture into an empty folder. Returns its width and height.
fn picture(draw: impl FnOnce(&Place) -> Result<(), ReportError>) -> Result<(u32, u32), ReportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    draw(&Place::of(&path))?;
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "a temporary file was left: {files:?}");
    Ok(size(&path))
}

/// Width and height of the overview of a study.
fn overview(study: &Study) -> (u32, u32) {
    let board = build(study, RankBy::TestF1, &|_| None);
    picture(|path| draw_overview(study, &board, path)).unwrap()
}

#[test]
fn a_trial_has_a_curve_of_the_promised_size_from_its_first_evaluation_on() {
    let study = study(Vec::new());
    for losses in [&[0.5][..], &[0.6, 0.5, 0.7]] {
        assert_eq!(picture(|path| draw_curve(&record(1, losses), &study, path)).unwrap(), (1200, 900));
    }
}

/// Number of pixels of the curve that have the colour of overfitting.
fn shaded(record: &TrialRecord) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curve.png");
    draw_curve(record, &study(Vec::new()), &Place::of(&path)).unwrap();
    let file = io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let channels = reader.next_frame(&mut pixels).unwrap().color_type.samples();
    let palette::Colour(red, green, blue) = curve::overfitting_shade();
    pixels.chunks(channels).filter(|pixel| pixel.starts_with(&[red, green, blue])).count()
}

#[test]
fn a_curve_is_shaded_if_and_only_if_the_verdict_is_overfit() {
    let overfit = record(1, &[0.6, 0.5, 0.55, 0.6]);
    assert_eq!(verdict::judge(&overfit), Some(Verdict::Overfit));
    assert!(shaded(&overfit) > 10_000);
    for losses in [&[0.6, 0.5, 0.4][..], &[0.6, 0.5, 0.52], &[0.5, 0.6, 0.4, 0.42]] {
        assert_eq!(shaded(&record(1, losses)), 0, "{losses:?}");
    }
}

#[test]
fn a_failed_trial_has_a_curve_too() {
    let broken = failed(record(1, &[0.5]), FailureKind::NonFinite { step: 3 });
    assert_eq!(picture(|path| draw_curve(&broken, &study(Vec::new()), path)).unwrap(), (1200, 900));
}

/// Asserts that a picture of the first trial was refused for lack of data.
fn assert_nothing_to_draw(result: &Result<(u32, u32), ReportError>) {
    assert!(matches!(result, Err(ReportError::NothingToDraw { trial: TrialId(1), .. })), "{result:?}");
}

#[test]
fn a_trial_without_an_evaluation_has_no_curve() {
    let waiting = failed(record(1, &[]), FailureKind::Spawn);
    assert_nothing_to_draw(&picture(|path| draw_curve(&waiting, &study(Vec::new()), path)));
}

#[test]
fn a_trial_without_a_test_has_no_confusion() {
    let waiting = failed(record(1, &[]), FailureKind::Spawn);
    assert_nothing_to_draw(&picture(|path| draw_confusion(&waiting, &study(Vec::new()), path)));
}

#[test]
fn pictures_of_infinite_and_huge_figures_are_drawn() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300, f64::MAX, f64::MIN_POSITIVE];
    let study = study(Vec::new());
    for figure in odd {
        let mut trial = record(1, &[0.5, figure, 0.6, figure]);
        for evaluation in &mut trial.evaluations[1..] {
            evaluation.train_loss = figure;
            evaluation.validation.f1 = figure;
            evaluation.validation.f1_low = figure;
            evaluation.epoch = figure;
        }
        trial.outcome.as_mut().unwrap().best_epoch = figure;
        picture(|path| draw_curve(&trial, &study, path)).unwrap();
        let mut test = scores(3, figure);
        test.f1_low = figure;
        trial.outcome.as_mut().unwrap().test = test;
        trial.trial.params.0[0].1 = Value::Float(figure);
        overview(&samples::study(vec![trial, record(2, &[figure])]));
    }
}

#[test]
fn a_confusion_of_any_number_of_classes_is_drawn() {
    for classes in [1, 2, 20, 200] {
        let mut confusion = Confusion::new(classes);
        for document in 0..classes * 7 {
            confusion.add(document % classes, document * document % classes);
        }
        let mut trial = record(1, &[0.5]);
        trial.outcome.as_mut().unwrap().test = Scores::new(confusion, 0.4, Target::Average(Average::Macro));
        let (width, height) = picture(|path| draw_confusion(&trial, &study(Vec::new()), path)).unwrap();
        assert!(width >= 760 && height >= 400, "{width}x{height}");
    }
}

/// A study of this many trials.
fn study_of(trials: u32) -> Study {
    study((1..=trials).map(|id| record(id, &[0.6, 0.5])).collect())
}

#[test]
fn an_overview_does_not_grow_with_the_trials() {
    assert_eq!(overview(&study_of(3)), overview(&study_of(300)));
}

#[test]
fn an_overview_without_a_swept_setting_has_the_size_of_one() {
    let mut none = study_of(3);
    none.swept.clear();
    assert_eq!(overview(&none), overview(&study_of(3)));
}

#[test]
fn an_overview_grows_with_the_swept_settings() {
    let mut eight = study_of(3);
    eight.swept = (0..8).map(|index| format!("setting_{index}")).collect();
    assert!(overview(&eight).1 > overview(&study_of(3)).1 + 700);
}

#[test]
fn an_overview_has_room_for_its_curves() {
    let (width, height) = overview(&study_of(3));
    assert!(width >= 1400 && height >= 1000);
}

#[test]
fn a_sweep_that_only_waits_has_an_overview() {
    let mut waiting = record(1, &[]);
    waiting.state = State::Waiting;
    overview(&study(vec![waiting]));
}

#[test]
fn a_sweep_whose_trials_failed_has_an_overview() {
    overview(&study(vec![failed(record(1, &[0.5]), FailureKind::Panic)]));
}

#[test]
fn a_sweep_without_a_trial_has_an_overview() {
    overview(&study(Vec::new()));
}

#[test]
fn a_picture_that_cannot_be_written_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let path = in_the_way.join("curve.png");
    let result = draw_curve(&record(1, &[0.5]), &study(Vec::new()), &Place::of(&path));
    assert_eq!(result.unwrap_err().to_string(), format!("writing {}", path.display()));
}

#[cfg(unix)]
#[test]
fn pictures_have_the_mode_of_other_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    std::fs::write(folder.path().join("plain"), "").unwrap();
    draw_curve(&record(1, &[0.5]), &study(Vec::new()), &Place::of(folder.path().join("curve.png"))).unwrap();
    assert_eq!(mode("curve.png"), mode("plain"));
}
