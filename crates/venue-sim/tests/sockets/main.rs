//! The simulator over real sockets, seen from its clients.
// `cfg(test)` is always true here; it tells clippy that helper functions are test code too.

#[cfg(test)]
mod deribit;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod okx;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod support;
#[cfg(test)]
mod walk;
