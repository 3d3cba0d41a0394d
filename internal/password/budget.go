package password

import "errors"

// errTooLarge says that a set cannot be counted within the limits. It does not say that the set is empty.
var errTooLarge = errors.New("the rules together are too large to be counted")

// A budget bounds the work of a computation in steps, each about a nanosecond. That a budget is in steps and not in
// time makes a verdict the same on every machine and at every load.
type budget struct{ steps int }

// spend takes steps from the budget, or returns errTooLarge when they are not there.
func (b *budget) spend(steps int) error {
	if steps < 0 || steps > b.steps {
		return errTooLarge
	}
	b.steps -= steps
	return nil
}

// half returns a budget of half of what is left, for an attempt that may fail. What the attempt spent is taken from b
// by settle.
func (b *budget) half() *budget { return &budget{b.steps / 2} }

// settle takes from b what an attempt has spent of its half.
func (b *budget) settle(attempt *budget) { b.steps -= b.steps/2 - attempt.steps }
