package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// maxFaults bounds how many faults of one file are reported.
const maxFaults = 100

// A position is a place in the policy file, both counted from 1. The zero
// position stands for the file as a whole and is shown as its beginning.
type position struct{ line, col int }

// A fault is one thing wrong with a policy file, told in one line together with
// what to do about it.
type fault struct {
	file string
	at   position
	what string
	fix  string
	err  error // cause outside of the file, nil if none
}

func (f *fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", f.file, max(f.at.line, 1), max(f.at.col, 1), f.what, f.fix)
}

func (f *fault) Unwrap() error { return f.err }

// faults collects what is wrong with one file.
type faults struct {
	file string
	list []*fault
	more int // faults left out
}

func (fs *faults) add(at position, fix, format string, args ...any) {
	if len(fs.list) == maxFaults {
		fs.more++
		return
	}
	fs.list = append(fs.list, &fault{file: fs.file, at: at, what: fmt.Sprintf(format, args...), fix: fix})
}

// join returns all faults in the order of the file, or nil.
func (fs *faults) join() error {
	if len(fs.list) == 0 {
		return nil
	}
	slices.SortStableFunc(fs.list, func(a, b *fault) int {
		return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	errs := make([]error, 0, len(fs.list)+1)
	for _, f := range fs.list {
		errs = append(errs, f)
	}
	if fs.more > 0 {
		last := fs.list[len(fs.list)-1]
		errs = append(errs, &fault{file: fs.file, at: last.at,
			what: strconv.Itoa(fs.more) + " further faults are left out", fix: "mend the ones above first"})
	}
	return errors.Join(errs...)
}

// quote shows a value of the file within an error line: on one line, however
// odd or long it is.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// suggest tells how to mend a word that is not among known: by the nearest one
// if it is near enough to be a slip of the pen, else by the words there are.
func suggest(word string, known []string, otherwise string) string {
	best, least := "", 1+max(1, min(len(word), 64)/3)
	for _, k := range known {
		if d := distance(word, k, least); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + quote(best) + "?"
	}
	return otherwise
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b, or limit if it is not less than that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			same := 1
			if a[i-1] == b[j-1] {
				same = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+same)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return min(prev[len(b)], limit)
}
