//! The damage matrix: every kind of damage, at every place, in a store with a bit of everything.
//!
//! Each test is a sample of what it could do; `DBSNAP_DAMAGE=all` makes it every byte, bit and length, which takes an hour
//! without debug assertions and is meant for the night.

mod bench;
mod cuts;
mod flips;
mod losses;

/// Whether everything is to be tried, and not a sample.
fn is_all() -> bool {
    std::env::var("DBSNAP_DAMAGE").is_ok_and(|what| what == "all")
}

/// Does something for each of these, by all processors at once.
fn for_each_at_once<T: Sync>(cases: &[T], work: impl Fn(&T) + Sync) {
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let (work, share) = (&work, cases.len().div_ceil(at_once).max(1));
    std::thread::scope(|scope| {
        for cases in cases.chunks(share) {
            scope.spawn(move || cases.iter().for_each(work));
        }
    });
}
