package provision

import (
	"slices"
	"strings"
	"sync"
)

// A job is work that waits for some vaults.
type job struct {
	vaults []string
	do     func()
}

// A lane is the jobs that wait for the same vaults, in order.
type lane struct {
	vaults []string
	jobs   []job
}

// runAll runs every job, at most n at once. The next is always one whose vaults have the fewest jobs under way, so a
// vault that is paced or slow holds up its own secrets and leaves room for the other vaults'.
func runAll(n int, jobs []job) {
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		lanes  = intoLanes(jobs)
		flight = map[string]int{}
	)
	next := func(done job) (job, bool) {
		mu.Lock()
		defer mu.Unlock()
		for _, vault := range done.vaults {
			flight[vault]--
		}
		chosen := leastBusy(lanes, flight)
		if chosen == nil {
			return job{}, false
		}
		j := chosen.jobs[0]
		chosen.jobs = chosen.jobs[1:]
		for _, vault := range j.vaults {
			flight[vault]++
		}
		return j, true
	}
	for range min(n, len(jobs)) {
		wg.Go(func() {
			for j, more := next(job{}); more; j, more = next(j) {
				j.do()
			}
		})
	}
	wg.Wait()
}

// intoLanes returns the jobs by the vaults that they wait for, in the order of their first jobs.
func intoLanes(jobs []job) []*lane {
	var lanes []*lane
	byVaults := map[string]*lane{}
	for _, j := range jobs {
		key := strings.Join(j.vaults, " ")
		if byVaults[key] == nil {
			byVaults[key] = &lane{vaults: j.vaults}
			lanes = append(lanes, byVaults[key])
		}
		byVaults[key].jobs = append(byVaults[key].jobs, j)
	}
	return lanes
}

// leastBusy returns the first lane with work whose busiest vault is the least busy; nil if no lane has work.
func leastBusy(lanes []*lane, flight map[string]int) (best *lane) {
	least := 0
	for _, l := range lanes {
		if len(l.jobs) == 0 {
			continue
		}
		busiest := 0
		for _, vault := range l.vaults {
			busiest = max(busiest, flight[vault])
		}
		if best == nil || busiest < least {
			best, least = l, busiest
		}
	}
	return best
}

// vaultsOf returns the names of the vaults of some steps, sorted.
func vaultsOf(steps []*Step) []string {
	var names []string
	for _, step := range steps {
		names = append(names, step.Vault)
	}
	slices.Sort(names)
	return names
}
