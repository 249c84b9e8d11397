//! The simulated city.
