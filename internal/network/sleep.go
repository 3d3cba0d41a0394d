package network

import "time"

// Sleep waits for d, before a request is tried again or may be sent at all. It reports false if done is closed first:
// then nothing more is to be sent. Callers that have a context pass ctx.Done().
func Sleep(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
