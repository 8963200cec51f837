//! The tidy test lives in tests/.
#![forbid(unsafe_code)]
