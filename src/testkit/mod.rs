//! A kit to test schedulers.
