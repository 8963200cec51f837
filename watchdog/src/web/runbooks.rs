//! The runbooks of the shipped rules, in the program: a link in a message works where no documentation is at hand.
//!
//! Owns: which runbooks there are. Must not know: rules.

/// Name of the alert, text of its runbook.
const RUNBOOKS: &[(&str, &str)] = &[
    ("CloseWait", include_str!("../../../docs/runbooks/CloseWait.md")),
    ("CollectorDeadLetters", include_str!("../../../docs/runbooks/CollectorDeadLetters.md")),
    ("CollectorDown", include_str!("../../../docs/runbooks/CollectorDown.md")),
    ("CollectorHighConnections", include_str!("../../../docs/runbooks/CollectorHighConnections.md")),
    ("CollectorHighMemory", include_str!("../../../docs/runbooks/CollectorHighMemory.md")),
    ("CollectorHung", include_str!("../../../docs/runbooks/CollectorHung.md")),
    ("CollectorLoopPauses", include_str!("../../../docs/runbooks/CollectorLoopPauses.md")),
    ("CollectorNatsDown", include_str!("../../../docs/runbooks/CollectorNatsDown.md")),
    ("CollectorPressure", include_str!("../../../docs/runbooks/CollectorPressure.md")),
    ("CollectorSpoolFilling", include_str!("../../../docs/runbooks/CollectorSpoolFilling.md")),
    ("CollectorSpoolLost", include_str!("../../../docs/runbooks/CollectorSpoolLost.md")),
    ("CollectorStreamUnusable", include_str!("../../../docs/runbooks/CollectorStreamUnusable.md")),
    ("FDLeakDetected", include_str!("../../../docs/runbooks/FDLeakDetected.md")),
    ("NoData", include_str!("../../../docs/runbooks/NoData.md")),
    ("WatchdogConfigReloadFailed", include_str!("../../../docs/runbooks/WatchdogConfigReloadFailed.md")),
    ("WatchdogRestartsHeld", include_str!("../../../docs/runbooks/WatchdogRestartsHeld.md")),
    ("WatchdogSeriesRefused", include_str!("../../../docs/runbooks/WatchdogSeriesRefused.md")),
    ("WatchdogStorageDamaged", include_str!("../../../docs/runbooks/WatchdogStorageDamaged.md")),
    ("WatchdogStorageFailing", include_str!("../../../docs/runbooks/WatchdogStorageFailing.md")),
];

/// The runbook of an alert; `name` may end in `.md`.
pub(super) fn find(name: &str) -> Option<&'static str> {
    let name = name.strip_suffix(".md").unwrap_or(name);
    RUNBOOKS.iter().find(|(have, _)| *have == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_of_the_directory_is_in_the_program() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks");
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "README.md" || find(&name).is_some(), "{name} is missing in RUNBOOKS");
        }
    }
}
