package emulator

import "time"

// windowLength is that of Key Vault's limits: https://learn.microsoft.com/azure/key-vault/general/service-limits
const windowLength = 10 * time.Second

// A window counts what was let through in any windowLength. What it refuses does not count.
type window struct {
	limit int // negative: none
	taken []time.Time
}

// take lets one more through, or not.
func (w *window) take(now time.Time) bool {
	if w.limit < 0 {
		return true
	}
	expired := 0
	for expired < len(w.taken) && now.Sub(w.taken[expired]) >= windowLength {
		expired++
	}
	w.taken = w.taken[expired:]
	if len(w.taken) >= w.limit {
		return false
	}
	w.taken = append(w.taken, now)
	return true
}
