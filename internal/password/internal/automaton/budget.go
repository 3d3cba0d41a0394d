package automaton

import "errors"

// ErrTooLarge says that something cannot be counted within the limits. It does not say that it is empty.
var ErrTooLarge = errors.New("the rules together are too large to be counted")

// A Budget bounds the work of a computation in steps of about a nanosecond. Steps are counted, not timed: so a verdict
// is the same on every machine and under every load.
type Budget struct{ Steps int }

// Spend takes steps from the budget, or returns ErrTooLarge if too few are left.
func (b *Budget) Spend(steps int) error {
	if steps < 0 || steps > b.Steps {
		return ErrTooLarge
	}
	b.Steps -= steps
	return nil
}

// Half returns a budget of half of what is left, for an attempt that may fail. See Charge.
func (b *Budget) Half() *Budget { return &Budget{b.Steps / 2} }

// Charge takes from b what an attempt has spent of its half.
func (b *Budget) Charge(attempt *Budget) { b.Steps -= b.Steps/2 - attempt.Steps }
