//! `/proc/PID/limits`: the table of resource limits (proc(5), "limits"), of which one row matters: open files.
//!
//! Owns: finding that row. Must not know: how near to it is too near.

/// A limit of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// At most this many.
    At(u64),
}

/// The soft limit of open files, if the table has it.
pub fn max_open_files(text: &str) -> Option<Limit> {
    let row = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match row.split_ascii_whitespace().next()? {
        "unlimited" => Some(Limit::Unlimited),
        number => number.parse().ok().map(Limit::At),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_is_found() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             96365                96365                processes \nMax open files            1024                 20000                files     \n";
        assert_eq!(max_open_files(table), Some(Limit::At(1024)));
        assert_eq!(max_open_files(&table.replace("1024 ", "unlimited ")), Some(Limit::Unlimited));
        assert_eq!(max_open_files("Max open files"), None);
        assert_eq!(max_open_files(""), None);
    }
}
