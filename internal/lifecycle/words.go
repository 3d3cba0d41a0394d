package lifecycle

import (
	"fmt"
	"time"
)

// A unit is what a duration is counted in.
type unit struct {
	name string
	size time.Duration
}

var (
	days    = unit{"d", 24 * time.Hour}
	hours   = unit{"h", time.Hour}
	minutes = unit{"m", time.Minute}
	seconds = unit{"s", time.Second}
)

// unitOf returns the unit in which a duration is read: the largest of which it is a whole number, and days from two on.
func unitOf(d time.Duration) unit {
	switch {
	case d >= 2*days.size && d%days.size == 0:
		return days
	case d%hours.size == 0:
		return hours
	case d%minutes.size == 0:
		return minutes
	}
	return seconds
}

// count returns how many whole units d has: "61d". What is less than one is counted in a smaller unit.
func (u unit) count(d time.Duration) string {
	if d > 0 && d < u.size && u != seconds {
		return Age(d)
	}
	return fmt.Sprintf("%d%s", d/u.size, u.name)
}

// Words returns a declared duration, whole, in the largest unit that can say it: "90d", "36h", "90s".
func Words(d time.Duration) string { return unitOf(d).count(d) }

// Between returns how long it is from one time to another, as [Age] says it. A vault holds years that are more than a
// time.Duration.
func Between(from, to time.Time) string {
	if s := to.Unix() - from.Unix(); s > 1e9 {
		return fmt.Sprintf("%d%s", s/int64(days.size/time.Second), days.name)
	}
	return Age(to.Sub(from))
}

// Age returns a duration as people say it, in whole units: "61d", "36h", "5m". A negative one is "0s".
func Age(d time.Duration) string {
	switch {
	case d >= 2*days.size:
		return days.count(d)
	case d >= 2*hours.size:
		return hours.count(d)
	case d >= 2*minutes.size:
		return minutes.count(d)
	}
	return seconds.count(max(d, 0))
}
