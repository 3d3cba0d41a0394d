package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// The benchmarks time the process as a whole, over loopback and TLS, against an emulator in this process: what they
// show is the action's own share of a run and not Azure's. Each prints the median wall time, and the median and the
// highest peak of resident memory. The roots of trust are the emulator's alone: reading a machine's folder of
// certificates would cost as much as all the rest, and the image has none.
//
//	go test ./internal/test/scenarios -run '^$' -bench .
func BenchmarkOneSecret(b *testing.B) {
	benchmark(b, 1, 1, func(j *weekly) { j.empty() })
}

func BenchmarkNothingToDoFor200(b *testing.B) { benchmark(b, 200, 1, func(*weekly) {}) }

func BenchmarkCreate270(b *testing.B) { benchmark(b, 270, 1, func(j *weekly) { j.empty() }) }

func BenchmarkCreate2000InEightVaults(b *testing.B) {
	benchmark(b, 2000, 8, func(j *weekly) { j.empty() })
}

// empty makes the vaults anew.
func (j *weekly) empty() {
	for _, name := range vaultNames(8) {
		j.emulator.AddVault(emulator.VaultOptions{Name: name})
	}
}

func vaultNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("kv-bench-%d", i))
	}
	return names
}

// benchmark runs the program on that many secrets, spread over vaults, after prepare. The first run is not counted.
func benchmark(b *testing.B, secrets, vaults int, prepare func(*weekly)) {
	j := newWeekly(b, emulator.Options{Vaults: vaultNames(8)})
	j.declare(declarationOf(secrets, vaults))
	concurrency := fmt.Sprint("concurrency=", min(64, 8*vaults))
	j.run(concurrency)
	var walls []time.Duration
	var peaks []int64
	for b.Loop() {
		prepare(j)
		before := j.emulator.Requests()
		start := time.Now()
		r := j.run(concurrency)
		walls = append(walls, time.Since(start))
		if usage, ok := r.State.SysUsage().(*syscall.Rusage); ok {
			peaks = append(peaks, usage.Maxrss)
		}
		after := j.emulator.Requests()
		if n := after["throttled"] - before["throttled"]; n != 0 {
			b.Fatalf("%d requests were throttled", n)
		}
		// Where the first answer takes long, those in flight start before there is a token, and are asked for one.
		if n := after["versions"] - before["versions"]; n < secrets || n > secrets+64 {
			b.Fatalf("%d version lists for %d secrets", n, secrets)
		}
	}
	slices.Sort(walls)
	slices.Sort(peaks)
	b.ReportMetric(float64(walls[len(walls)/2].Microseconds())/1000, "ms/run")
	// Maxrss is in KiB on Linux. It is at least this process's own, which the kernel counts until the program is
	// loaded.
	b.ReportMetric(float64(peaks[len(peaks)/2])/1024, "peak-MiB")
	b.ReportMetric(float64(peaks[len(peaks)-1])/1024, "highest-peak-MiB")
	b.ReportMetric(0, "ns/op")
}

func declarationOf(secrets, vaults int) string {
	var text strings.Builder
	text.WriteString("vaults:\n")
	for i, name := range vaultNames(vaults) {
		fmt.Fprintf(&text, "  v%d: {name: %s}\n", i, name)
	}
	text.WriteString("secrets:\n")
	for i := range secrets {
		fmt.Fprintf(&text, "  secret-%d: {policy: default, vaults: [v%d]}\n", i, i%vaults)
	}
	return text.String()
}
