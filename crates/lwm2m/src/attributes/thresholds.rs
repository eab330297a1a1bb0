use super::Attributes;

/// What gt, lt and st demand (LwM2M Core 1.1 section 7.3.2). Any one of them suffices, and where one of them is set a
/// change that none of them asks for is not notified.
impl Attributes {
    /// Whether a threshold or a step is set.
    pub const fn has_thresholds(&self) -> bool {
        self.gt.is_some() || self.lt.is_some() || self.st.is_some()
    }

    /// Whether a number crossed gt or lt, in either direction: it has become greater than gt or no longer is, or less than
    /// lt or no longer is.
    ///
    /// `before` is the value seen just before, told to the server or not, so that no crossing between two notifications is
    /// missed.
    ///
    /// ```
    /// use lapwing_lwm2m::attributes::Attributes;
    ///
    /// let mut attributes = Attributes::NONE;
    /// attributes.gt = Some(50.0);
    /// assert!(attributes.crossed(49.0, 51.0));
    /// assert!(attributes.crossed(51.0, 49.0));
    /// assert!(!attributes.crossed(51.0, 80.0));
    /// ```
    pub fn crossed(&self, before: f64, now: f64) -> bool {
        self.gt.is_some_and(|gt| (before > gt) != (now > gt)) || self.lt.is_some_and(|lt| (before < lt) != (now < lt))
    }

    /// Whether a number differs by st or more from the one that the server was told last; a value that is no different
    /// does not, even if st is 0.
    pub fn stepped(&self, reported: f64, now: f64) -> bool {
        self.st.is_some_and(|st| now.is_nan() != reported.is_nan() || (now != reported && (now - reported).abs() >= st))
    }
}
