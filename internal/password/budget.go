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
