// Package image holds no code, only tests: of the Dockerfile and action.yml as texts, and, where a container engine
// and an image are to be had, of the image started the way runners start it and of the examples' workflows run by act.
// `bash .ci/run` provides all of it and fails where a test would skip; `go test` alone checks the texts.
package image

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// entrypoint is the program's place in the image.
const entrypoint = "/keyvault-passwords"

// An instruction is one of a Dockerfile, its continued lines joined.
type instruction struct{ name, arguments string }

// parseDockerfile reads the part of the format that the project's Dockerfile keeps to; what goes beyond is a problem of
// recipeProblems. https://docs.docker.com/reference/dockerfile/#format
func parseDockerfile(text string) []instruction {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	var list []instruction
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.Join(lines, "\n"), "\\\n", " "), "\n") {
		name, arguments, _ := strings.Cut(line, " ")
		list = append(list, instruction{strings.ToUpper(name), strings.TrimSpace(arguments)})
	}
	return list
}

var (
	pinnedFrom = regexp.MustCompile(`^[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}( AS \w+)?$`)
	directive  = regexp.MustCompile(`(?m)\A# *(syntax|escape|check) *=`)
	buildKit   = regexp.MustCompile(`--(mount|chmod|platform|link|parents|exclude|network|security)\b|<<`)
)

// recipeProblems says what is wrong with a Dockerfile of this action: each sentence names the line's beginning.
func recipeProblems(text string) []string {
	var problems []string
	add := func(i instruction, why string) {
		problems = append(problems, fmt.Sprintf("%s %.60s: %s", i.name, i.arguments, why))
	}
	if directive.MatchString(text) {
		problems = append(problems, "the parser directive at the top needs another image to be pulled, or BuildKit")
	}
	all := parseDockerfile(text)
	final := 0
	for i, in := range all {
		if in.name == "FROM" {
			final = i
			if !pinnedFrom.MatchString(in.arguments) {
				add(in, "not pinned by tag and digest")
			}
		}
		if buildKit.MatchString(in.arguments) {
			add(in, "the classic builder does not take it")
		}
	}
	var entries []string
	for _, in := range all[final:] {
		switch in.name {
		case "USER":
			add(in, "the runner's command files are another user's, so that only root can write to them")
		case "WORKDIR":
			add(in, "the runner sets the folder")
		case "ENTRYPOINT":
			entries = append(entries, in.arguments)
		case "CMD", "ADD", "VOLUME", "HEALTHCHECK", "ONBUILD", "SHELL", "STOPSIGNAL":
			add(in, "no place in this image")
		}
	}
	return append(problems, entrypointProblems(entries)...)
}

// entrypointProblems: one ENTRYPOINT in the exec form. In the shell form a shell is process 1, and signals end there.
func entrypointProblems(entries []string) []string {
	if len(entries) != 1 {
		return []string{fmt.Sprintf("%d ENTRYPOINTs in the final stage, want 1", len(entries))}
	}
	var words []string
	if err := json.Unmarshal([]byte(entries[0]), &words); err != nil || !slices.Equal(words, []string{entrypoint}) {
		return []string{fmt.Sprintf("ENTRYPOINT %s: want the exec form of %s alone", entries[0], entrypoint)}
	}
	return nil
}

func TestDockerfile(t *testing.T) {
	for _, problem := range recipeProblems(read(t, "Dockerfile")) {
		t.Error(problem)
	}
}

// Each row spoils the Dockerfile in one way, and names what must be said then.
func TestDockerfileSpoiled(t *testing.T) {
	text := read(t, "Dockerfile")
	digest := regexp.MustCompile(`@sha256:[0-9a-f]{64}`)
	entry := `ENTRYPOINT ["/keyvault-passwords"]`
	for name, test := range map[string]struct{ spoiled, want string }{
		"no digest":      {digest.ReplaceAllString(text, ""), "not pinned"},
		"short digest":   {digest.ReplaceAllString(text, "@sha256:abc"), "not pinned"},
		"no tag":         {regexp.MustCompile(`:[\w.-]+@`).ReplaceAllString(text, "@"), "not pinned"},
		"variable base":  {regexp.MustCompile(`FROM busybox\S+`).ReplaceAllString(text, "FROM $$BASE"), "not pinned"},
		"user":           {strings.Replace(text, entry, "USER nobody\n"+entry, 1), "USER nobody"},
		"working folder": {strings.Replace(text, entry, "WORKDIR /app\n"+entry, 1), "WORKDIR /app"},
		"no entrypoint":  {strings.Replace(text, entry, "", 1), "0 ENTRYPOINTs"},
		"shell form":     {strings.Replace(text, entry, "ENTRYPOINT /keyvault-passwords", 1), "exec form"},
		"with arguments": {strings.Replace(text, entry, `ENTRYPOINT ["/keyvault-passwords", "-x"]`, 1), "exec form"},
		"through a shell": {strings.Replace(text, entry, `ENTRYPOINT ["sh", "-c", "/keyvault-passwords"]`, 1),
			"exec form"},
		"default command": {strings.Replace(text, entry, entry+"\nCMD [\"-x\"]", 1), "no place"},
		"cache mount": {strings.Replace(text, "RUN ", "RUN --mount=type=cache,target=/root/.cache ", 1),
			"classic builder"},
		"platform":      {strings.Replace(text, "FROM ", "FROM --platform=$BUILDPLATFORM ", 1), "classic builder"},
		"here document": {strings.Replace(text, "RUN ", "RUN <<EOF\n", 1), "classic builder"},
		"other syntax":  {"# syntax=docker/dockerfile:1\n" + text, "directive"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.spoiled == text {
				t.Fatal("nothing was spoiled: the Dockerfile no longer has what this row changes")
			}
			if got := strings.Join(recipeProblems(test.spoiled), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("got the problems\n%s\nwant one with %q", got, test.want)
			}
		})
	}
}

// metadata is what action.yml says beside its texts.
type metadata struct {
	Inputs map[string]struct {
		Description string
		Required    *bool
	}
	Outputs map[string]struct{ Description string }
	Runs    map[string]any
}

var pinnedImage = regexp.MustCompile(`^docker://[a-z0-9./-]+@sha256:[0-9a-f]{64}$`)

// metadataProblems says what is wrong with a text of action.yml, as far as actionlint does not.
func metadataProblems(text string) []string {
	var m metadata
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return []string{err.Error()}
	}
	var problems []string
	add := func(format string, arguments ...any) { problems = append(problems, fmt.Sprintf(format, arguments...)) }
	for name, input := range m.Inputs {
		if input.Required != nil {
			add("input %s: the runner enforces no `required`; say in the description what happens without it", name)
		}
		if len(input.Description) < 40 {
			add("input %s: the description is the manual, and too short for one", name)
		}
	}
	for name, output := range m.Outputs {
		if len(output.Description) < 40 {
			add("output %s: the description is the manual, and too short for one", name)
		}
	}
	if m.Runs["using"] != "docker" {
		add("runs.using is %v, want docker", m.Runs["using"])
	}
	// A pod's runner overrides the image's entrypoint and goes by this one.
	if m.Runs["entrypoint"] != entrypoint {
		add("runs.entrypoint is %v, want %s", m.Runs["entrypoint"], entrypoint)
	}
	if image, _ := m.Runs["image"].(string); image != "Dockerfile" && !pinnedImage.MatchString(image) {
		add("runs.image is %q, want Dockerfile, or in a release docker://NAME@sha256:DIGEST", image)
	}
	for key := range m.Runs {
		if !slices.Contains([]string{"using", "image", "entrypoint"}, key) {
			add("runs.%s: inputs arrive without it, and arguments would be printed in the log", key)
		}
	}
	return problems
}

func TestActionMetadata(t *testing.T) {
	for _, problem := range metadataProblems(read(t, "action.yml")) {
		t.Error(problem)
	}
}

func TestActionMetadataSpoiled(t *testing.T) {
	text := read(t, "action.yml")
	for name, test := range map[string]struct{ old, new, want string }{
		"required":         {"    default: ensure\n", "    default: ensure\n    required: true\n", "no `required`"},
		"no entrypoint":    {"  entrypoint: /keyvault-passwords\n", "", "runs.entrypoint"},
		"other entrypoint": {"entrypoint: /keyvault-passwords", "entrypoint: /bin/sh", "runs.entrypoint"},
		"image by tag":     {"image: Dockerfile", "image: docker://ghcr.io/octo/x:v1", "runs.image"},
		"digest moved":     {"image: Dockerfile", "image: docker://ghcr.io/octo/x@sha256:0123", "runs.image"},
		"arguments": {"  image: Dockerfile\n", "  image: Dockerfile\n  args: [\"${{ inputs.vault }}\"]\n",
			"runs.args"},
		"a composite": {"using: docker", "using: composite", "runs.using"},
		"no manual": {"    default: 10m\n", "    default: 10m\n  other:\n    description: see README\n",
			"input other"},
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := strings.Replace(text, test.old, test.new, 1)
			if spoiled == text {
				t.Fatalf("nothing was spoiled: action.yml has no %q", test.old)
			}
			if got := strings.Join(metadataProblems(spoiled), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("got the problems\n%s\nwant one with %q", got, test.want)
			}
		})
	}
	release := strings.Replace(text, "image: Dockerfile", "image: docker://ghcr.io/octo/x@sha256:"+strings.Repeat("0a",
		32), 1)
	if problems := metadataProblems(release); len(problems) != 0 {
		t.Errorf("a release's action.yml is refused: %q", problems)
	}
}

// read returns a file of the repository's top.
func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
