/** Spans are nouns of the base, because the state machine needs them too; who works with ranges finds them here. */
export { compareEnds, contains, intersection, isBefore, isValid, overlaps } from '../base/span.js'
