// Command bench prints what each stage of the work costs on real pages, beside
// peers that do the same work:
//
//	go run ./test/bench              one table, and the slowest page
//	go run ./test/bench -pgo         the stages with and without a profile
//	go run ./test/bench -codings     encoding rewritten pages again, by every level
//	go run ./test/bench -rounds 30   more rounds, on a machine that is not quiet
//
// It builds the test binaries of rewriter and caddymodule and runs their stages
// round after round, so that what disturbs the machine for a while disturbs all of
// them alike. The pages are the saved ones in ../shared/data/pages, which are other
// people's and not part of the project; without them, those of the example site.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// packages are those with stages, by the directory their tests run in.
var packages = []string{"rewriter", "caddymodule"}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 10, "how often each stage runs")
	each := flag.String("time", "100ms", "how long a stage runs in a round, at least")
	pgo := flag.Bool("pgo", false, "compare builds with and without a profile of the rewriter")
	codings := flag.Bool("codings", false, "compare the levels of content codings")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	b := bench{dir: dir, rounds: *rounds, time: *each}
	switch {
	case *pgo:
		err = b.compareProfiled()
	case *codings:
		err = b.compareCodings()
	default:
		err = b.table()
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

// A bench builds and runs test binaries.
type bench struct {
	dir    string // for what is built
	rounds int
	time   string
}

// table prints all stages, the slowest page and benchstat's summary.
func (b *bench) table() error {
	if pages, _ := filepath.Glob("../shared/data/pages/*.html"); len(pages) == 0 {
		fmt.Println("no saved pages at ../shared/data/pages: the figures are those of test/site")
	}
	for _, p := range packages {
		if err := b.build(p, p); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	for i := range b.rounds {
		fmt.Fprintf(os.Stderr, "\rround %d of %d", i+1, b.rounds)
		for _, p := range packages {
			text, err := b.run(p, p, "Stage", b.time)
			if err != nil {
				return err
			}
			out.Write(text)
		}
	}
	fmt.Fprint(os.Stderr, "\r\n")
	printStages(parse(out.String()))
	text, err := b.run("rewriter", "rewriter", "Page", "30ms")
	if err != nil {
		return err
	}
	printSlowest(parse(string(text)))
	raw := filepath.Join(b.dir, "stages.txt")
	if err := os.WriteFile(raw, out.Bytes(), 0o600); err != nil {
		return err
	}
	return b.benchstat(raw)
}

// compareProfiled builds the stages with a CPU profile of the rewriter's own, and
// compares.
func (b *bench) compareProfiled() error {
	if err := b.build("rewriter", "plain"); err != nil {
		return err
	}
	profile := filepath.Join(b.dir, "cpu.pprof")
	if _, err := b.run("rewriter", "plain", "Stage/rewrite", "3s", "-test.cpuprofile="+profile); err != nil {
		return err
	}
	if err := b.build("rewriter", "profiled", "-pgo="+profile); err != nil {
		return err
	}
	texts := map[string]*bytes.Buffer{"plain": {}, "profiled": {}}
	for i := range b.rounds {
		fmt.Fprintf(os.Stderr, "\rround %d of %d", i+1, b.rounds)
		for name, text := range texts {
			out, err := b.run("rewriter", name, "Stage", b.time)
			if err != nil {
				return err
			}
			text.Write(out)
		}
	}
	fmt.Fprint(os.Stderr, "\r\n")
	printRatios(parse(texts["plain"].String()), parse(texts["profiled"].String()))
	var files []string
	for name, text := range texts {
		file := filepath.Join(b.dir, name+".txt")
		if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
			return err
		}
		files = append(files, name+"="+file)
	}
	return b.benchstat(files...)
}

// compareCodings prints what the levels of content codings cost.
func (b *bench) compareCodings() error {
	if err := b.build("rewriter", "rewriter"); err != nil {
		return err
	}
	var out bytes.Buffer
	for i := range b.rounds {
		fmt.Fprintf(os.Stderr, "\rround %d of %d", i+1, b.rounds)
		text, err := b.run("rewriter", "rewriter", "Coding", b.time)
		if err != nil {
			return err
		}
		out.Write(text)
	}
	fmt.Fprint(os.Stderr, "\r\n")
	printCodings(parse(out.String()))
	return nil
}

// build makes the test binary of a package.
func (b *bench) build(pkg, name string, flags ...string) error {
	args := append([]string{"test", "-c", "-o", filepath.Join(b.dir, name)}, flags...)
	cmd := exec.Command("go", append(args, "./"+pkg)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building the tests of %s, from the project's root: %w", pkg, err)
	}
	return nil
}

// run runs benchmarks of a binary in the folder of its package.
func (b *bench) run(pkg, name, benchmarks, time string, flags ...string) ([]byte, error) {
	args := append([]string{"-test.run=^$", "-test.bench=" + benchmarks, "-test.benchtime=" + time}, flags...)
	cmd := exec.Command(filepath.Join(b.dir, name), args...)
	cmd.Dir = pkg
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s of %s: %w\n%s", benchmarks, pkg, err, out)
	}
	return out, nil
}

// benchstat prints the summary of the tool that knows how sure the figures are.
func (b *bench) benchstat(files ...string) error {
	cmd := exec.Command("go", append([]string{"run", benchstat, "-filter", ".unit:cpu-ns/op"}, files...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	fmt.Println()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running benchstat: %w", err)
	}
	return nil
}
