//! The protocols between two atomics, under a model checker.
