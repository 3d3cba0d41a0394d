package job

import (
	"encoding/json"
	"fmt"
	"strings"
)

// An Output is one output of a step.
type Output struct{ Name, Value string }

// Outputs are a step's outputs in the order in which it wrote them.
type Outputs []Output

// ParseOutputs reads an output file as the runner does, but for the form NAME=VALUE, in which a value could end early:
// it is refused, as is everything else that stands outside of a fence.
// https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/FileCommandManager.cs
func ParseOutputs(text string) (Outputs, error) {
	var outputs Outputs
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		if text = rest; line == "" {
			continue
		}
		name, delimiter, fenced := strings.Cut(line, "<<")
		if !fenced || name == "" || delimiter == "" || strings.Contains(name, "=") {
			return nil, fmt.Errorf("the output file has a line %q outside of any output", line)
		}
		value, rest, ended := strings.Cut("\n"+text, "\n"+delimiter+"\n")
		if !ended {
			return nil, fmt.Errorf("output %s has no end", name)
		}
		outputs = append(outputs, Output{name, strings.TrimPrefix(value, "\n")})
		text = rest
	}
	return outputs, nil
}

// Get returns the value of an output, "" where there is none.
func (o Outputs) Get(name string) string {
	for _, output := range o {
		if output.Name == name {
			return output.Value
		}
	}
	return ""
}

// Decode reads the JSON of an output into a value. An output that is not there is an error.
func (o Outputs) Decode(name string, into any) error {
	if err := json.Unmarshal([]byte(o.Get(name)), into); err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	return nil
}
