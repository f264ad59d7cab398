package caddymodule

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// TestTrace compares what the command prints. A file of testdata/trace holds the
// arguments, the page, a line of dashes, and what is printed or the error;
// -update writes the latter.
func TestTrace(t *testing.T) {
	files, err := filepath.Glob("testdata/trace/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source, want, ok := strings.Cut(string(data), "----------\n")
			args, page, ok2 := strings.Cut(source, "\n")
			if !ok || !ok2 {
				t.Fatal("no arguments or no line of dashes")
			}
			got, err := runTrace(strings.Fields(args), page)
			if isError := strings.HasPrefix(filepath.Base(name), "error_"); isError != (err != nil) {
				t.Errorf("error or not? %v", err)
			}
			if err != nil {
				got = err.Error() + "\n"
			}
			if *update {
				if err := os.WriteFile(name, []byte(source+"----------\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// runTrace runs the command with the flags it is registered with.
func runTrace(args []string, page string) (string, error) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	caddycmd.Commands()["consent-trace"].Flags.VisitAll(func(f *flag.Flag) {
		if _, isBool := f.Value.(interface{ IsBoolFlag() bool }); isBool {
			flags.Bool(f.Name, false, f.Usage)
		} else {
			flags.String(f.Name, f.DefValue, f.Usage)
		}
	})
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	value := func(name string) string { return flags.Lookup(name).Value.String() }
	var out bytes.Buffer
	err := trace(&out, strings.NewReader(page), traceOptions{
		policy: value("policy"), url: value("url"), grant: value("grant"), held: value("held") == "true", args: flags.Args(),
	})
	return out.String(), err
}

// A page of one long line takes time in proportion to its length.
func TestTraceLongLine(t *testing.T) {
	const n = 50000
	out, err := runTrace(nil, strings.Repeat(`<b>ä</b>`, n))
	if want := fmt.Sprintf("\n1:%-7d %7d  end tag </b>\n", 8*n-3, 9*n-4); err != nil || !strings.Contains(out, want) {
		t.Errorf("%v: no %q in …%s", err, want, out[len(out)-300:])
	}
}

// A page that is broken off is shown up to where that happens.
func TestTraceTangled(t *testing.T) {
	page := `<noscript><p title="</noscript>` + strings.Repeat("x ", DefaultMaxHold) + `"></noscript>`
	out, err := runTrace(nil, page)
	if err == nil || !strings.Contains(err.Error(), "standard input: ") || !strings.Contains(out, "start tag <noscript>") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What cannot be read or written is an error.
func TestTraceStreams(t *testing.T) {
	if err := trace(os.Stdout, failingStream{}, traceOptions{url: defaultTraceURL}); !errors.Is(err, errStream) {
		t.Errorf("reading: %v", err)
	}
	if err := trace(failingStream{}, strings.NewReader("<p>"), traceOptions{url: defaultTraceURL}); !errors.Is(err, errStream) {
		t.Errorf("writing: %v", err)
	}
}

var errStream = errors.New("broken pipe")

type failingStream struct{}

func (failingStream) Read([]byte) (int, error)  { return 0, errStream }
func (failingStream) Write([]byte) (int, error) { return 0, errStream }

// The example of the documentation is what the command prints, and the command
// line there is one it takes.
func TestTraceDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../docs/troubleshoot.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(lang string) string {
		_, text, _ := strings.Cut(string(doc), "```"+lang+"\n")
		text, _, ok := strings.Cut(text, "```\n")
		if !ok {
			t.Fatalf("no %s block", lang)
		}
		return text
	}
	_, line, ok := strings.Cut(block("sh"), " consent-trace ")
	if !ok {
		t.Fatal("no command line")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(file, []byte("version: \"1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.Replace(line, "policy.yaml", file, 1))
	for _, held := range []bool{true, false} {
		if !held {
			args = slices.DeleteFunc(args, func(a string) bool { return a == "--held" })
		}
		got, err := runTrace(args, block("html"))
		if err != nil {
			t.Fatal(err)
		}
		if want := block("text"); !held && got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		} else if held && (len(got) >= len(want) || !strings.Contains(got, "held <img>")) {
			t.Errorf("with --held:\n%s", got)
		}
	}
	for _, flag := range []string{"policy", "url", "grant", "held"} {
		if caddycmd.Commands()["consent-trace"].Flags.Lookup(flag) == nil || !strings.Contains(string(doc), "| `--"+flag+"` |") {
			t.Errorf("--%s is not documented, or does not exist", flag)
		}
	}
}
