use super::*;
use crate::definitions::test_object_v1_1 as test;

fn changes(queries: &[&str]) -> Changes {
    Changes::parse(queries.iter().copied()).unwrap()
}

fn attributes(queries: &[&str]) -> Attributes {
    changes(queries).apply(&Attributes::NONE)
}

const BASE: Path = Path::object(3442).instance(0);

#[test]
fn reads_queries_and_writes_them_again() {
    let all = ["pmin=10", "pmax=60", "gt=-50.5", "lt=-100", "st=0.25", "epmin=1", "epmax=2"];
    assert_eq!(changes(&all).queries(), all);
    assert_eq!(changes(&["pmin", "gt="]).queries(), ["pmin", "gt"]);
    assert_eq!(changes(&[]), Changes::default());
}

#[test]
fn refuses_what_is_not_an_attribute() {
    for (query, why) in [
        ("pmim=1", AttributeError::Unknown("pmim".into())),
        ("dim=1", AttributeError::Unknown("dim".into())),
        ("", AttributeError::Unknown("".into())),
        ("pmin=-1", AttributeError::Malformed("pmin".into())),
        ("pmin=+1", AttributeError::Malformed("pmin".into())),
        ("pmin=1.5", AttributeError::Malformed("pmin".into())),
        ("pmin=4294967296", AttributeError::Malformed("pmin".into())),
        ("gt=1e3", AttributeError::Malformed("gt".into())),
        ("gt=.5", AttributeError::Malformed("gt".into())),
        ("gt=5.", AttributeError::Malformed("gt".into())),
        ("gt=--5", AttributeError::Malformed("gt".into())),
        ("gt=inf", AttributeError::Malformed("gt".into())),
        ("lt=NaN", AttributeError::Malformed("lt".into())),
        ("st=-1", AttributeError::Malformed("st".into())),
    ] {
        assert_eq!(Changes::parse([query]), Err(why), "{query}");
    }
    let long = format!("gt={}", "9".repeat(400));
    assert_eq!(Changes::parse([long.as_str()]), Err(AttributeError::Malformed("gt".into())));
    assert_eq!(Changes::parse(["pmin=1", "pmin=2"]), Err(AttributeError::Doubled("pmin".into())));
    assert_eq!(Changes::parse(["pmin", "pmin=2"]), Err(AttributeError::Doubled("pmin".into())));
}

#[test]
fn sets_replaces_and_unsets() {
    let mut table = AttributeTable::new();
    let path = BASE.resource(test::INTEGER_VALUE);
    table.write(path, &changes(&["pmin=10", "pmax=60", "st=2"]), &test::V1_0).unwrap();
    table.write(path, &changes(&["pmin=20", "st"]), &test::V1_0).unwrap();
    assert_eq!(table.at(&path), attributes(&["pmin=20", "pmax=60"]));
    table.write(path, &changes(&["pmin", "pmax"]), &test::V1_0).unwrap();
    assert!(table.is_empty());
}

/// LwM2M Core 1.1 section 7.3.2: gt, lt and st go with readable numbers, at the levels of resource and resource instance.
#[test]
fn thresholds_go_with_readable_numbers_only() {
    let mut table = AttributeTable::new();
    let gt = changes(&["gt=1"]);
    for resource in [test::INTEGER_VALUE, test::UNSIGNED_INTEGER_VALUE, test::FLOAT_VALUE] {
        assert_eq!(table.write(BASE.resource(resource), &gt, &test::V1_0), Ok(()));
    }
    let multiple = BASE.resource(test::MULTIPLE_INTEGER_VALUE);
    assert_eq!(table.write(multiple, &gt, &test::V1_0), Ok(()));
    assert_eq!(table.write(multiple.resource_instance(0), &gt, &test::V1_0), Ok(()));
    for resource in [test::STRING_VALUE, test::BOOLEAN_VALUE, test::TIME_VALUE, test::RESET_VALUES, 9999] {
        assert_eq!(
            table.write(BASE.resource(resource), &gt, &test::V1_0),
            Err(AttributeError::NotNumeric),
            "{resource}"
        );
    }
    for path in [BASE, Path::object(3442)] {
        assert_eq!(table.write(path, &gt, &test::V1_0), Err(AttributeError::Level));
    }
    assert_eq!(table.write(Path::ROOT, &changes(&["pmin=1"]), &test::V1_0), Err(AttributeError::Level));
    // To unset is harmless wherever it is.
    assert_eq!(table.write(BASE, &changes(&["gt"]), &test::V1_0), Ok(()));
}

#[test]
fn contradicting_thresholds_change_nothing() {
    let mut table = AttributeTable::new();
    let path = BASE.resource(test::INTEGER_VALUE);
    table.write(path, &changes(&["lt=10", "gt=20", "st=4.9"]), &test::V1_0).unwrap();
    let before = table.clone();
    for contradiction in [&["st=5"][..], &["lt=20"], &["gt=10", "st"], &["lt=30", "gt=20"]] {
        let result = table.write(path, &changes(contradiction), &test::V1_0);
        assert_eq!(result, Err(AttributeError::Contradiction), "{contradiction:?}");
        assert_eq!(table, before);
    }
    assert_eq!(table.write(path, &changes(&["st=100", "gt"]), &test::V1_0), Ok(()));
}

#[test]
fn contradictions_are_seen_through_the_levels() {
    let mut table = AttributeTable::new();
    let multiple = BASE.resource(test::MULTIPLE_INTEGER_VALUE);
    table.write(multiple, &changes(&["gt=20"]), &test::V1_0).unwrap();
    let result = table.write(multiple.resource_instance(1), &changes(&["lt=20"]), &test::V1_0);
    assert_eq!(result, Err(AttributeError::Contradiction));
}

#[test]
fn the_deepest_level_wins_and_the_rest_is_inherited() {
    let mut table = AttributeTable::new();
    let resource = BASE.resource(test::MULTIPLE_INTEGER_VALUE);
    for (path, queries) in [
        (Path::object(3442), &["pmin=1", "pmax=100"][..]),
        (BASE, &["pmin=2"]),
        (resource, &["pmax=50", "st=3"]),
        (resource.resource_instance(0), &["st=1"]),
    ] {
        table.write(path, &changes(queries), &test::V1_0).unwrap();
    }
    assert_eq!(table.effective(&resource.resource_instance(0)), attributes(&["pmin=2", "pmax=50", "st=1"]));
    assert_eq!(table.effective(&resource.resource_instance(1)), attributes(&["pmin=2", "pmax=50", "st=3"]));
    assert_eq!(table.effective(&BASE.resource(0)), attributes(&["pmin=2", "pmax=100"]));
    assert_eq!(table.effective(&Path::object(3442).instance(1)), attributes(&["pmin=1", "pmax=100"]));
    assert_eq!(table.effective(&Path::object(3)), Attributes::NONE);
    table.remove_below(&BASE);
    assert_eq!(table.iter().collect::<Vec<_>>(), [(Path::object(3442), attributes(&["pmin=1", "pmax=100"]))]);
}

#[test]
fn a_maximum_period_below_the_minimum_is_ignored() {
    assert_eq!(attributes(&["pmin=10", "pmax=60"]).effective_pmax(), Some(60));
    assert_eq!(attributes(&["pmin=10", "pmax=10"]).effective_pmax(), Some(10));
    assert_eq!(attributes(&["pmin=10", "pmax=9"]).effective_pmax(), None);
    assert_eq!(attributes(&["pmax=0"]).effective_pmax(), None);
    assert_eq!(attributes(&["pmin=10"]).effective_pmax(), None);
}

#[test]
fn prints_as_discover_has_it() {
    let all = attributes(&["pmin=10", "pmax=60", "gt=50", "lt=-42.25", "st=0.5"]);
    assert_eq!(all.to_string(), ";pmin=10;pmax=60;gt=50;lt=-42.25;st=0.5");
    assert_eq!(attributes(&["gt=10000000000000000000000"]).to_string(), ";gt=10000000000000000000000");
    assert_eq!(Attributes::NONE.to_string(), "");
}

fn crossed(queries: &[&str], before: f64, now: f64) -> bool {
    attributes(queries).crossed(before, now)
}

#[test]
fn a_threshold_counts_in_both_directions() {
    for threshold in ["gt=50", "lt=50"] {
        assert!(crossed(&[threshold], 49.0, 51.0));
        assert!(crossed(&[threshold], 51.0, 49.0));
        assert!(crossed(&[threshold], 49.9, 50.1));
        assert!(!crossed(&[threshold], 51.0, 80.0));
        assert!(!crossed(&[threshold], 10.0, 49.0));
        assert!(!crossed(&[threshold], 50.0, 50.0));
    }
    assert!(crossed(&["gt=-90"], -100.0, -80.0));
}

/// Greater and less are meant strictly: at the threshold itself a value is neither.
#[test]
fn a_threshold_is_on_its_own_side() {
    assert!(!crossed(&["gt=50"], 49.0, 50.0) && crossed(&["gt=50"], 50.0, 51.0) && crossed(&["gt=50"], 51.0, 50.0));
    assert!(!crossed(&["lt=50"], 51.0, 50.0) && crossed(&["lt=50"], 50.0, 49.0) && crossed(&["lt=50"], 49.0, 50.0));
}

#[test]
fn each_threshold_counts_by_itself() {
    let both = &["lt=10", "gt=30"];
    assert!(crossed(both, 9.0, 11.0) && crossed(both, 29.0, 31.0) && crossed(both, 9.0, 31.0));
    assert!(!crossed(both, 11.0, 29.0));
    assert!(!crossed(&["st=1"], 0.0, 100.0) && !crossed(&[], 0.0, 100.0));
}

#[test]
fn a_step_counts_from_the_value_told_last() {
    let stepped = |queries: &[&str], reported, now| attributes(queries).stepped(reported, now);
    assert!(stepped(&["st=5"], 10.0, 15.0) && stepped(&["st=5"], 10.0, 5.0));
    assert!(!stepped(&["st=5"], 10.0, 14.0) && !stepped(&["st=5"], 10.0, 6.0));
    assert!(stepped(&["st=0"], 10.0, 10.1) && !stepped(&["st=0"], 10.0, 10.0));
    assert!(!stepped(&["gt=5"], 0.0, 10.0) && !stepped(&[], 0.0, 10.0));
    assert!(stepped(&["st=5"], f64::NAN, 1.0) && !stepped(&["st=5"], f64::NAN, f64::NAN));
}

#[test]
fn thresholds_are_seen() {
    assert!(!attributes(&["pmin=1", "pmax=2"]).has_thresholds());
    for threshold in ["gt=1", "lt=1", "st=1"] {
        assert!(attributes(&[threshold]).has_thresholds());
    }
}
