package runner_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/runner"
)

// inWorkspace returns a runner whose workspace is a new folder.
func inWorkspace(t *testing.T) (r *runner.Runner, dir string) {
	t.Helper()
	dir = t.TempDir()
	return runner.New(func(name string) string {
		if name == "GITHUB_WORKSPACE" {
			return dir
		}
		return ""
	}, io.Discard, nil), dir
}

func plant(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// furnish puts a file, a folder, and links into a workspace.
func furnish(t *testing.T, dir string) {
	t.Helper()
	outside := t.TempDir()
	plant(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	plant(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	plant(t, os.Symlink("folder", filepath.Join(dir, "within")))
	plant(t, os.Symlink(outside, filepath.Join(dir, "out")))
	plant(t, os.Symlink("nothing", filepath.Join(dir, "dangling")))
	plant(t, os.Symlink(filepath.Join(outside, "new"), filepath.Join(dir, "dangling-out")))
	plant(t, os.Symlink("file", filepath.Join(dir, "link.json")))
	plant(t, syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o600))
}

func TestCheckReports(t *testing.T) {
	for _, tc := range []struct {
		paths string // one a word; WORKSPACE is its path
		want  string // "": nothing is wrong
	}{
		{"a.json", ""},
		{"a.json b.csv audit/a.json audit/deep/er/a.html", ""},
		{"file", ""}, // an older report
		{"folder/a.json ./folder/b.json within/c.json", ""},
		{"WORKSPACE/audit/a.json", ""},
		{"..json folder/..a.csv", ""},

		{"../a.json", `"../a.json" is outside the workspace; expected a path in it without ..`},
		{"audit/../a.json", `is outside the workspace`},
		{"folder/../../a.json", `is outside the workspace`},
		{"/tmp/a.json", `is outside the workspace`},
		{"WORKSPACE/../a.json", `is outside the workspace`},
		{"WORKSPACE-2/a.json", `is outside the workspace`},
		{"out/a.json", `"out/a.json": the folder "out" cannot be used: `},
		{"out/deep/a.json", `the folder "out" cannot be used: `},
		{"dangling/a.json", `the folder "dangling" cannot be used: `},
		{"dangling-out/a.json", `the folder "dangling-out" cannot be used: `},
		{"file/a.json", `"file/a.json": "file" is a file; expected a folder, or nothing yet`},
		{"folder", `"folder" is a folder; expected a file, or nothing yet`},
		{"audit/", `"audit/" names a folder; expected the path of a file`},
		{"WORKSPACE", `names a folder`},
		{"link.json", `"link.json" is a link or a device; expected a file, or nothing yet`},
		{"pipe.json", `is a link or a device`},
		{strings.Repeat("a", 250) + ".json", ""},
		{"new/" + strings.Repeat("a", 251) + ".json", `has a name of 256 bytes; expected at most 255`},
		{strings.Repeat("ä", 128) + "/a.json", `has a name of 256 bytes; expected at most 255`},
		{"a.json ./a.json", `"a.json" and "./a.json" are the same file; expected a path for each report`},
		{"a.json WORKSPACE/a.json", `are the same file`},
		{"a.json a.json/b.json", `"a.json" and "a.json/b.json": one is a folder of the other`},
		{"a.json/b.json a.json", `one is a folder of the other`},
	} {
		t.Run(tc.paths, func(t *testing.T) {
			r, dir := inWorkspace(t)
			furnish(t, dir)
			before := tree(t, dir)
			mistakes := r.CheckReports(strings.Fields(strings.ReplaceAll(tc.paths, "WORKSPACE", dir)))
			switch {
			case tc.want == "" && mistakes != nil:
				t.Errorf("got %v; want no mistake", mistakes)
			case tc.want != "" && (len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), tc.want)):
				t.Errorf("got %v; want one mistake: %s", mistakes, tc.want)
			}
			if after := tree(t, dir); !slices.Equal(before, after) {
				t.Errorf("a check changed the workspace from %v to %v", before, after)
			}
		})
	}
}

// Every wrong path is told, in the order of the input.
func TestCheckReportsTellsAll(t *testing.T) {
	r, _ := inWorkspace(t)
	mistakes := r.CheckReports([]string{"../a.json", "b.json", "b.json", "c/"})
	if len(mistakes) != 3 {
		t.Errorf("%d mistakes: %v; want 3", len(mistakes), mistakes)
	}
}

func TestCheckReportsNeedsAWorkspace(t *testing.T) {
	r := runner.New(func(string) string { return "/does/not/exist" }, io.Discard, nil)
	mistakes := r.CheckReports([]string{"a.json"})
	const want = "opening the workspace: no such file or directory"
	if len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), want) {
		t.Errorf("got %v; want %s", mistakes, want)
	}
}

// tree returns what is in a folder, with modes.
func tree(t *testing.T, dir string) (paths []string) {
	t.Helper()
	plant(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		relative, _ := filepath.Rel(dir, path)
		paths = append(paths, info.Mode().String()+" "+relative)
		return err
	}))
	return paths[1:]
}

// asRoot skips a test that gives files away.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may give files away; run this as root")
	}
}

// says returns a function that writes a text.
func says(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestWriteReport(t *testing.T) {
	asRoot(t)
	defer syscall.Umask(syscall.Umask(0o077)) // as a runner may have it
	r, dir := inWorkspace(t)
	plant(t, os.Chown(dir, 1001, 118))
	for _, path := range []string{"a.json", "audit/deep/a.html", filepath.Join(dir, "audit/b.csv")} {
		for _, text := range []string{"older and longer", "newer"} {
			if err := r.WriteReport(path, says(text)); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	want := []string{
		"-rw-r--r-- a.json", "drwxr-xr-x audit", "-rw-r--r-- audit/b.csv", "drwxr-xr-x audit/deep",
		"-rw-r--r-- audit/deep/a.html",
	}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	for _, path := range want {
		_, path, _ = strings.Cut(path, " ")
		info, err := os.Stat(filepath.Join(dir, path))
		plant(t, err)
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1001 || stat.Gid != 118 {
			t.Errorf("%s belongs to %d:%d; want the workspace's owner", path, stat.Uid, stat.Gid)
		}
		if text, err := os.ReadFile(filepath.Join(dir, path)); err == nil && string(text) != "newer" {
			t.Errorf("%s: %q; want the newer text alone", path, text)
		}
	}
}

// A folder that is there is not ours: it keeps its mode and its owner.
func TestWriteReportLeavesFoldersAsTheyAre(t *testing.T) {
	asRoot(t)
	r, dir := inWorkspace(t)
	plant(t, os.Mkdir(filepath.Join(dir, "audit"), 0o700))
	plant(t, os.Chown(dir, 1001, 118))
	plant(t, r.WriteReport("audit/a.json", says("x")))
	info, err := os.Stat(filepath.Join(dir, "audit"))
	plant(t, err)
	if info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("the folder is %v of %d", info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
	}
}

// What makes the text may have a reason to make none: that is returned as it is, and no file stands there, not even an
// older one, which a later step would take for this one.
func TestWriteReportOfNoText(t *testing.T) {
	r, dir := inWorkspace(t)
	plant(t, r.WriteReport("a.sarif", says("older")))
	reason := refusal.Refusal{Cause: "not complete"}
	err := r.WriteReport("a.sarif", func(w io.Writer) error {
		_, _ = io.WriteString(w, "a part")
		return reason
	})
	if !errors.Is(err, reason) || err.Error() != "not complete" {
		t.Errorf("error %v; want the reason alone", err)
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("%v stand there", left)
	}
}

// The checks hold when the report is written too: what came to stand there meanwhile is neither followed nor removed.
func TestWriteReportLeavesNoWorkspace(t *testing.T) {
	for path, want := range map[string]string{
		"out/a.json":      `writing the report "out/a.json": `,
		"dangling/a.json": `writing the report "dangling/a.json": `,
		"file/a.json":     `writing the report "file/a.json": `,
		"folder":          `writing the report "folder": file exists; check what is at that path in the workspace`,
		"../a.json":       "is outside the workspace",
	} {
		r, dir := inWorkspace(t)
		furnish(t, dir)
		before := tree(t, dir)
		err := r.WriteReport(path, says("x"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %s", path, err, want)
		}
		if after := tree(t, dir); !slices.Equal(before, after) {
			t.Errorf("%s: the workspace had %v and has %v", path, before, after)
		}
	}
	r, dir := inWorkspace(t)
	furnish(t, dir)
	plant(t, r.WriteReport("link.json", says("x")))
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || len(text) > 0 {
		t.Errorf("a link was written through: %q, %v", text, err)
	}
}

// A run that is killed while it writes leaves a part under another name, which the next run removes. A name may be as
// long as the file system takes.
func TestWriteReportAfterAKilledRun(t *testing.T) {
	for _, name := range []string{"a.json", strings.Repeat("a", 250) + ".json"} {
		r, dir := inWorkspace(t)
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			_ = r.WriteReport(name, func(w io.Writer) error {
				_, _ = io.WriteString(w, strings.Repeat("a part", 1<<16))
				runtime.Goexit()
				return nil
			})
		}()
		<-killed
		if left := tree(t, dir); len(left) != 1 {
			t.Fatalf("a killed run leaves %v; expected one file", left)
		}
		plant(t, r.WriteReport(name, says("whole")))
		if got := tree(t, dir); !slices.Equal(got, []string{"-rw-r--r-- " + name}) {
			t.Errorf("there is %v; want the report alone", got)
		}
	}
}

func TestIsSameFile(t *testing.T) {
	r, dir := inWorkspace(t)
	furnish(t, dir)
	for _, tc := range []struct {
		one, other string
		want       bool
	}{
		{"file", "file", true}, {"./file", filepath.Join(dir, "file"), true}, {"file", "link.json", true},
		{"file", "pipe.json", false}, {"file", "nothing", false}, {"nothing", "nothing", false},
		{"file", "../file", false}, {"out/x", "file", false},
	} {
		if got := r.IsSameFile(tc.one, tc.other); got != tc.want {
			t.Errorf("IsSameFile(%q, %q) = %t", tc.one, tc.other, got)
		}
	}
}

// A disk that is full: the report is not there, nothing else is left, and the others are written where there is room.
func TestWriteReportOnAFullDisk(t *testing.T) {
	r, dir := inWorkspace(t)
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("mounting a small disk: %v; run this as root", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	plant(t, r.WriteReport("audit/a.html", says("older")))
	err := r.WriteReport("audit/a.html", func(w io.Writer) error {
		for range 100 {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return errors.New("another error, which hides why")
			}
		}
		return nil
	})
	const want = `writing the report "audit/a.html": no space left on device; ` +
		`free space on the runner's disk, and run the job again`
	if err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
	if err := r.WriteReport("audit/b.csv", says("short")); err != nil {
		t.Errorf("another report: %v", err)
	}
	if got := tree(t, dir); !slices.Equal(got, []string{"drwxr-xr-x audit", "-rw-r--r-- audit/b.csv"}) {
		t.Errorf("there is %v; want the other report alone", got)
	}
}
