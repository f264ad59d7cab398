// Package html5lib reads the tokenizer tests of html5lib, for tests: see
// ../scan/testdata/html5lib/SOURCE.md.
package html5lib

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Test is one test of the suite.
type Test struct {
	Description   string   `json:"description"`
	Input         string   `json:"input"`
	Output        []any    `json:"output"`
	InitialStates []string `json:"initialStates"`
	LastStartTag  string   `json:"lastStartTag"`
	DoubleEscaped bool     `json:"doubleEscaped"`
}

// A Run is one test in one of its initial states.
type Run struct {
	Test
	File  string
	State string // such as "Data state"
	XML   bool   // the output is coerced to what XML can carry
}

// Runs reads all tests of the folder.
func Runs(dir string) (runs []Run, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.test"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no tests in %s: %w", dir, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var f struct {
			Tests        []Test `json:"tests"`
			XMLViolation []Test `json:"xmlViolationTests"`
		}
		if err := json.Unmarshal(b, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, c := range slices.Concat(f.Tests, f.XMLViolation) {
			c.unescape()
			states := c.InitialStates
			if len(states) == 0 {
				states = []string{"Data state"}
			}
			for _, state := range states {
				runs = append(runs, Run{c, filepath.Base(name), state, f.XMLViolation != nil})
			}
		}
	}
	return runs, nil
}

// Key names a run.
func (r *Run) Key() string { return r.File + ": " + r.Description + " (" + r.State + ")" }

var unicodeEscape = regexp.MustCompile(`\\u[0-9A-Fa-f]{4}`)

// unescape undoes the second escaping of a doubleEscaped test. UTF-8 has no lone
// surrogates, as four of these tests want them: they become the three bytes that
// UTF-8 would have for them. The scanner must carry any bytes, and the tokens of
// these tests are text.
func (c *Test) unescape() {
	if !c.DoubleEscaped {
		return
	}
	once := func(s string) string {
		return unicodeEscape.ReplaceAllStringFunc(s, func(e string) string {
			n, _ := strconv.ParseUint(e[2:], 16, 16)
			if n >= 0xD800 && n < 0xE000 {
				return string([]byte{0xE0 | byte(n>>12), 0x80 | byte(n>>6)&0x3F, 0x80 | byte(n)&0x3F})
			}
			return string(rune(n))
		})
	}
	c.Input = once(c.Input)
	for _, o := range c.Output {
		if tok, ok := o.([]any); ok {
			for i := range tok {
				if s, ok := tok[i].(string); ok {
					tok[i] = once(s)
				}
			}
		}
	}
}

// Prime returns markup that takes a scanner into the state a run begins in. ok is
// false if no document gets there: the state must then be set by hand.
func (r *Run) Prime() (markup string, ok bool) {
	name := ""
	switch r.State {
	case "Data state":
		return "", true
	case "CDATA section state":
		return "<svg><![CDATA[", true
	case "PLAINTEXT state":
		name = "plaintext"
	case "RCDATA state":
		name = "title"
	case "RAWTEXT state":
		name = "style"
	case "Script data state":
		name = "script"
		if r.LastStartTag == "" && strings.Contains(r.Input, "</script") {
			return "", false // nothing was opened that this could close
		}
	}
	if last := r.LastStartTag; last != "" {
		if r.State == "Script data state" && last != "script" {
			return "", false
		}
		name = last
	}
	return "<" + name + ">", true
}

// Cuts returns the ways to cut n bytes that every run is fed in.
func Cuts(n int, rnd *rand.Rand) [][]int {
	all := make([]int, 0, n)
	for i := 1; i < n; i++ {
		all = append(all, i)
	}
	cuts := [][]int{nil, all}
	for i := 1; i < min(n, 512); i++ {
		cuts = append(cuts, []int{i})
	}
	for range 4 {
		var some []int
		for _, i := range all {
			if rnd.IntN(3) == 0 {
				some = append(some, i)
			}
		}
		cuts = append(cuts, some)
	}
	return cuts
}
