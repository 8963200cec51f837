//! How the C library's allocator keeps memory: set once at the start, for a program that runs for months and whose spikes are short.
//!
//! Owns: three calls of `mallopt(3)`. Must not know: who allocates.
//!
//! Left alone, glibc learns from a large block that is freed to keep blocks of that size (up to 32 MB, and twice as much at the end of its heap) for the next one, and
//! gives every thread a heap of its own: after a few large pages, or with thousands of series, a third of the memory is room that nobody uses.

/// Larger blocks come from the kernel and go back to it. A page of a thousand lines, which comes each second, is smaller.
const OF_THEIR_OWN_BYTES: i32 = 256 << 10;

/// Free memory at the end of the heap above this goes back.
const KEPT_BYTES: i32 = 256 << 10;

/// Heaps. Two threads seldom want memory at the same time here.
const HEAPS: i32 = 1;

/// Sets it; call it before there is a second thread.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_little() {
    // malloc.h
    const M_TRIM_THRESHOLD: i32 = -1;
    const M_MMAP_THRESHOLD: i32 = -3;
    const M_ARENA_MAX: i32 = -8;
    for (what, value) in [(M_TRIM_THRESHOLD, KEPT_BYTES), (M_MMAP_THRESHOLD, OF_THEIR_OWN_BYTES), (M_ARENA_MAX, HEAPS)] {
        // What is not taken stays as it was, which costs memory and nothing else.
        let _is_taken = glibc::set(what, value);
    }
}

/// Other C libraries keep little by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "no crate offers this call safely")]
mod glibc {
    use std::ffi::c_int;

    unsafe extern "C" {
        /// `int mallopt(int param, int value)`: 1 when it was taken.
        safe fn mallopt(param: c_int, value: c_int) -> c_int;
    }

    /// Takes two numbers and no pointer, checks both, and is serialised by the allocator's own lock (mallopt(3)): no call of it can be wrong.
    pub(super) fn set(param: c_int, value: c_int) -> bool {
        mallopt(param, value) == 1
    }
}
