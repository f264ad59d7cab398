package policy

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the errors that come out into testdata/errors")

// dashes separate a policy file from the errors it gives.
const dashes = "----------\n"

// TestErrors compares the errors of bad policy files with testdata/errors, one
// file a fault: the YAML, a line of dashes, the error lines.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata/errors", err)
	}
	line := regexp.MustCompile(`^policy\.yaml:[0-9]+:[0-9]+: [^\n]+: [^\n]+$`)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			yaml, want, _ := strings.Cut(string(raw), dashes)
			_, err = Parse("policy.yaml", []byte(yaml))
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error() + "\n"
			for _, l := range strings.Split(err.Error(), "\n") {
				if !line.MatchString(l) {
					t.Errorf("not of the form file:line:col: what: fix: %q", l)
				}
			}
			if *update {
				if err := os.WriteFile(name, []byte(yaml+dashes+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
