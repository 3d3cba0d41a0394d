package prose_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts of the release workflow are run as they stand, against a repository of the test's own. What needs GitHub
// (the registry, the attestations, the release itself) is not.

// digest is that of the image in the tests.
const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// A release is a clone to release from, and the repository it is pushed to.
type release struct {
	origin, clone, bin string
}

func newRelease(t *testing.T) release {
	t.Helper()
	need(t, "git")
	dir := t.TempDir()
	r := release{
		origin: filepath.Join(dir, "origin"),
		clone:  filepath.Join(dir, "clone"),
		bin:    filepath.Join(dir, "bin"),
	}
	write(t, r.clone, "action.yml", read(t, "action.yml"))
	program(t, r.bin, "gh", "#!/bin/sh\necho \"gh $*\" >> \"$CALLS\"\n")
	r.git(t, "init", "--quiet", "--bare", "--initial-branch=main", r.origin)
	r.git(t, "init", "--quiet", "--initial-branch=main")
	r.git(t, "remote", "add", "origin", r.origin)
	r.git(t, "add", "action.yml")
	r.git(t, "-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "commit", "--quiet",
		"--message=first")
	r.git(t, "push", "--quiet", "origin", "main")
	return r
}

func (r release) git(t *testing.T, arguments ...string) string {
	t.Helper()
	git := exec.CommandContext(t.Context(), "git", arguments...)
	git.Dir = r.clone
	out, err := git.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// step runs the script of that step of the release.
func (r release) step(t *testing.T, name, version string) (string, error) {
	t.Helper()
	return bash(t, script(t, ".github/workflows/release.yml", name), r.clone,
		"PATH="+r.bin+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(r.bin, "calls"), "RUNNER_TEMP="+r.bin,
		"GITHUB_REF=refs/heads/main", "GITHUB_REPOSITORY=Owner/keyvault-passwords",
		"GITHUB_OUTPUT="+filepath.Join(r.bin, "output"),
		"VERSION="+version, "IMAGE=ghcr.io/owner/keyvault-passwords", "DIGEST="+digest, "GH_TOKEN=unused")
}

func TestRelease(t *testing.T) {
	r := newRelease(t)
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		if out, err := r.step(t, "Commit the digest, tag, release", version); err != nil {
			t.Fatalf("%s: %v\n%s", version, err, out)
		}
		r.git(t, "checkout", "--quiet", "main") // the next release starts from main, as it was
	}
	if got := r.git(t, "show", "main:action.yml"); !strings.Contains(got, "\n  image: Dockerfile\n") {
		t.Error("main no longer says image: Dockerfile")
	}
	image := "\n  image: docker://ghcr.io/owner/keyvault-passwords@" + digest + "\n"
	for _, tag := range []string{"v1.0.0", "v1.1.0", "v1"} {
		if got := r.git(t, "--git-dir", r.origin, "show", tag+":action.yml"); !strings.Contains(got, image) {
			t.Errorf("%s does not name the image by its digest", tag)
		}
	}
	floating, last := r.git(t, "--git-dir", r.origin, "rev-parse", "v1^{commit}"),
		r.git(t, "--git-dir", r.origin, "rev-parse", "v1.1.0^{commit}")
	if floating != last {
		t.Errorf("v1 is %s, v1.1.0 is %s", floating, last)
	}
	calls, err := os.ReadFile(filepath.Join(r.bin, "calls"))
	if err != nil || !bytes.Contains(calls, []byte("gh release create v1.1.0 --verify-tag")) {
		t.Errorf("the release was not made: %s %v", calls, err)
	}
}

// A release of an older version moves no floating tag back, and is not called the latest; numbers are compared as
// numbers.
func TestReleaseOfAnOlderVersion(t *testing.T) {
	r := newRelease(t)
	for _, release := range []struct{ version, v1, latest string }{
		{version: "v1.9.0", v1: "v1.9.0", latest: "true"},
		{version: "v1.10.0", v1: "v1.10.0", latest: "true"},
		{version: "v1.9.1", v1: "v1.10.0", latest: "false"},
		{version: "v0.11.0", v1: "v1.10.0", latest: "false"},
		{version: "v2.0.0", v1: "v1.10.0", latest: "true"},
		{version: "v1.10.1", v1: "v1.10.1", latest: "false"},
	} {
		// The checkout of that job has no tags: what is released is what the origin has.
		if tags := r.git(t, "tag"); tags != "" {
			r.git(t, append([]string{"tag", "--delete"}, strings.Fields(tags)...)...)
		}
		out, err := r.step(t, "Commit the digest, tag, release", release.version)
		if err != nil {
			t.Fatalf("%s: %v\n%s", release.version, err, out)
		}
		of := func(tag string) string { return r.git(t, "--git-dir", r.origin, "rev-parse", tag+"^{commit}") }
		if of("v1") != of(release.v1) {
			t.Errorf("after %s, v1 is not %s", release.version, release.v1)
		}
		calls, err := os.ReadFile(filepath.Join(r.bin, "calls"))
		if want := "gh release create " + release.version + " --verify-tag --generate-notes --latest=" +
			release.latest + " "; err != nil || !bytes.Contains(calls, []byte(want)) {
			t.Errorf("%s: expected %q in %s (%v)", release.version, want, calls, err)
		}
		r.git(t, "checkout", "--quiet", "main")
	}
}

// What a release runs that is not this repository's runs in a job that may write nothing and has no environment.
func TestReleaseRunsStrangersWithoutRights(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Environment string
			Permissions map[string]string
			Steps       []struct{ Run string }
		}
	}
	parse(t, read(t, ".github/workflows/release.yml"), &workflow)
	found := false
	for name, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if !strings.Contains(step.Run, "go install") && !strings.Contains(step.Run, "syft") {
				continue
			}
			found = true
			for scope, right := range job.Permissions {
				if right != "read" {
					t.Errorf("job %s runs what others wrote, and may %s %s", name, right, scope)
				}
			}
			if job.Environment != "" {
				t.Errorf("job %s runs what others wrote in the environment %s", name, job.Environment)
			}
		}
	}
	if !found {
		t.Error("no job makes the bill of materials: the check looks at nothing")
	}
}

// A release whose action.yml would not name the image does not happen.
func TestReleaseNeedsTheLine(t *testing.T) {
	r := newRelease(t)
	write(t, r.clone, "action.yml", strings.ReplaceAll(read(t, "action.yml"), "  image: Dockerfile",
		"  image: 'Dockerfile'"))
	if out, err := r.step(t, "Commit the digest, tag, release", "v1.0.0"); err == nil ||
		!strings.Contains(out, "to replace") {
		t.Errorf("action.yml without the line to replace was released: %s", out)
	}
	if tags := r.git(t, "--git-dir", r.origin, "tag"); tags != "" {
		t.Errorf("tags were pushed: %s", tags)
	}
}

func TestReleaseVersion(t *testing.T) {
	r := newRelease(t)
	r.git(t, "tag", "v1.0.0")
	for version, want := range map[string]string{
		"v1.0.1":           "",
		"v1.0.0":           "exists already",
		"1.0.1":            "must look like",
		"v1.0":             "must look like",
		"v1.0.1; rm -rf /": "must look like",
		"":                 "must look like",
	} {
		out, err := r.step(t, "Name the image", version)
		if (err == nil) != (want == "") || !strings.Contains(out, want) {
			t.Errorf("version %q: %v, %s; want %q", version, err, out, want)
		}
	}
	output, err := os.ReadFile(filepath.Join(r.bin, "output"))
	if err != nil || !strings.HasPrefix(string(output), "name=ghcr.io/owner/keyvault-passwords\nepoch=") {
		t.Errorf("the outputs are %s (%v)", output, err)
	}
}
