use std::time::Duration;

use crate::{Footprint, Sample};

/// The middle one; of an even number, the lower of the two.
pub(crate) fn median<T: PartialOrd + Copy>(values: &mut [T]) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).expect("comparable"));
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// One line for each subject and request, with the ratios to the two that it is compared with.
pub(crate) fn requests(samples: &[(&'static str, &'static str, Sample)]) {
    let mut rows: Vec<(&str, &str, Duration, f64)> = Vec::new();
    for (subject, request, _) in samples {
        if rows.iter().any(|row| (row.0, row.1) == (*subject, *request)) {
            continue;
        }
        let own =
            || samples.iter().filter(|sample| (sample.0, sample.1) == (*subject, *request)).map(|sample| &sample.2);
        let cpu = median(&mut own().map(|sample| sample.cpu).collect::<Vec<_>>());
        let rate = median(&mut own().map(|sample| sample.rate).collect::<Vec<_>>());
        rows.push((subject, request, cpu.unwrap_or_default(), rate.unwrap_or_default()));
    }
    let reference = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.2);
    let (coap_server, echo) = (reference("coap-server"), reference("tokio UDP echo"));
    println!("| subject | request | CPU a request | of coap-server | of the echo | requests a second |");
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for (subject, request, cpu, rate) in &rows {
        let ratio =
            |to: Option<Duration>| to.map_or("-".into(), |to| format!("{:.2}", cpu.as_secs_f64() / to.as_secs_f64()));
        let (to_server, to_echo) = (ratio(coap_server), ratio(echo));
        let cpu = cpu.as_secs_f64() * 1e6;
        println!("| {subject} | {request} | {cpu:.2} us | {to_server} | {to_echo} | {rate:.0} |");
    }
    println!();
}

/// One line for each program.
pub(crate) fn processes(footprints: &[Footprint]) {
    println!(
        "| program | exec to registered | resident, idle | of it not file-backed | wake-ups a second, idle | stripped size |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for footprint in footprints {
        let registered = footprint.registered.map_or("-".into(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3));
        let megabytes = |kibibytes: u64| kibibytes as f64 * 1024.0 / 1e6;
        let (resident, anonymous) = (megabytes(footprint.idle.resident), megabytes(footprint.idle.anonymous));
        let size = footprint.size.map_or("-".into(), |size| format!("{:.2} MB", size as f64 / 1e6));
        println!(
            "| {} | {registered} | {resident:.2} MB | {anonymous:.2} MB | {:.1} | {size} |",
            footprint.name, footprint.wakeups
        );
    }
}
