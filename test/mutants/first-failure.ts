import fc from 'fast-check'

// Loaded before the tests that a planted bug meets: that a property fails is enough, and the smallest case of it takes minutes to find.
fc.configureGlobal({ endOnFailure: true })
