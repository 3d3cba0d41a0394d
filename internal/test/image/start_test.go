package image

import (
	"context"
	"debug/elf"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
)

// emulators are the programs of QEMU's that run another architecture's.
var emulators = map[string]struct {
	program string
	machine elf.Machine
}{
	"arm64": {"qemu-aarch64-static", elf.EM_AARCH64},
	"amd64": {"qemu-x86_64-static", elf.EM_X86_64},
}

// The image for the other architecture holds that architecture's program, static, and it does its job.
func TestOtherArchitecture(t *testing.T) {
	e := newEngine(t)
	image := demand(t, "FOREIGN_IMAGE", "build the image for the other architecture and set it to its name")
	c := e.inspect(t, image)
	for _, problem := range configProblems(c) {
		t.Error(problem)
	}
	other, known := emulators[c.Architecture]
	if own := e.inspect(t, e.image).Architecture; own == c.Architecture || !known {
		t.Fatalf("the image is for %s, this machine's for %s", c.Architecture, own)
	}
	program := e.extract(t, image)
	checkStatic(t, program, other.machine)
	processor, err := exec.LookPath(other.program)
	if err != nil {
		unavailable(t, "there is no "+other.program)
	}
	s, services := newStep(t, e)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := s.finish(t, s.Command(ctx, processor, program), nil)
	if got := stored(services); r.Status != 0 || len(got) != 2 {
		t.Errorf("exit status %d, %d secrets stored; want 2\n%s", r.Status, len(got), printed(r))
	}
}

// checkStatic: the program is of the right machine, needs no interpreter, and carries no symbols or build ID.
func checkStatic(t *testing.T, program string, machine elf.Machine) {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Machine != machine {
		t.Errorf("the program is for %s, want %s", file.Machine, machine)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: it has a segment %s", p.Type)
		}
	}
	for _, section := range []string{".symtab", ".debug_info"} {
		if file.Section(section) != nil {
			t.Errorf("the program is not stripped: it has a section %s", section)
		}
	}
}

func TestProgramIsStatic(t *testing.T) {
	e := newEngine(t)
	checkStatic(t, e.extract(t, e.image), emulators[e.inspect(t, e.image).Architecture].machine)
}

// BenchmarkOneSecret is what a step costs from start to exit, one secret created: the image started as the runner does,
// and beside it the program alone, taken from the same image.
func BenchmarkOneSecret(b *testing.B) {
	e := newEngine(b)
	program := e.extract(b, e.image)
	b.Run("container", func(b *testing.B) {
		benchmark(b, e, func(s *step, ctx context.Context) *exec.Cmd { return s.command(ctx) })
	})
	b.Run("program", func(b *testing.B) {
		benchmark(b, e, func(s *step, ctx context.Context) *exec.Cmd { return s.Command(ctx, program) })
	})
}

func benchmark(b *testing.B, e engine, command func(*step, context.Context) *exec.Cmd) {
	s, services := newStep(b, e)
	n, peak := 0, int64(0)
	for b.Loop() {
		n++
		s.Input(fmt.Sprintf("secrets=secret-%d: default", n))
		cmd := command(s, b.Context())
		r, err := s.Exec(cmd, nil)
		if err != nil || r.Status != 0 {
			b.Fatalf("%v\n%s", err, printed(r))
		}
		if usage, ok := r.State.SysUsage().(*syscall.Rusage); ok && cmd.Args[0] != e.program {
			peak = max(peak, usage.Maxrss)
		}
	}
	if got := len(stored(services)); got != n {
		b.Fatalf("%d secrets stored in %d runs", got, n)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/run")
	if peak > 0 {
		b.ReportMetric(float64(peak)/1024, "MiB-peak")
	}
}
