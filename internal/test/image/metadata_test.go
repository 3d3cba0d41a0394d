// Package image holds no code, only tests: of action.yml as a text, and, where a container engine and an image are to
// be had, of the image started the way runners start it and of the examples' workflows run by act. `bash .ci/run`
// provides all of it and fails where a test would skip; `go test` alone checks the text.
package image

import (
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
