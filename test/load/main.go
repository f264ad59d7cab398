// Command load measures what the gateway adds to bare Caddy: CPU time per request,
// time to the first byte, and memory per stream.
//
//	go run ./test/load                     all of it, in some four minutes
//	go run ./test/load -rounds 60          more rounds, on a machine that is not quiet
//	go run ./test/load -only 'held'        the scenarios whose name matches
//	go run ./test/load -only 'held HTML, 286' -profile cpu.pprof
//	                                       no table, but where the gateway's time goes
//
// Both sides are sites of one process of the built binary, before the same
// upstream, and their only difference is the consent directive. Blocks of requests
// to one and the other alternate, so that what disturbs the machine for a while
// disturbs both alike; what counts is the median of the ratios of neighbours. The
// CPU time is the process's: that of the upstream and of the clients, which are
// here, is not in it.
//
// The pages are the saved ones in ../shared/data/pages, which are other people's
// and not part of the project; without them, made ones.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/consentgate/consentgate/test/child"
)

func main() {
	log.SetFlags(0)
	var o options
	only := flag.String("only", "", "regular expression: the scenarios to run")
	flag.IntVar(&o.rounds, "rounds", 15, "how often both sides get a block of requests, in each scenario")
	flag.DurationVar(&o.block, "block", 120*time.Millisecond, "CPU time of a block, about")
	flag.IntVar(&o.firsts, "firsts", 3000, "requests to each side for the time to the first byte")
	flag.IntVar(&o.streams, "streams", 1000, "streams that are held open for the memory")
	flag.StringVar(&o.profile, "profile", "", "compare nothing; write a CPU profile of the gateway during the scenarios to this file")
	flag.StringVar(&o.binary, "binary", "", "measure this binary instead of building one")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

type options struct {
	rounds, firsts, streams int
	block                   time.Duration
	only                    *regexp.Regexp
	profile, binary         string
}

// run builds the binary, measures and prints. What it started is stopped when it
// returns.
func run(ctx context.Context, o options) (err error) {
	var remove func() error
	if o.binary, remove, err = child.Binary(ctx, o.binary); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	c, err := newCorpus()
	if err != nil {
		return err
	}
	s, err := startSite(c.bodies)
	if err != nil {
		return err
	}
	defer s.close()
	files, err := os.MkdirTemp("", "load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(files)) }()
	if err := writeFiles(files); err != nil {
		return err
	}
	b := &bench{options: o, corpus: c, site: s, files: files}
	fmt.Printf("Pages: %s.\n", c.note)
	steps := []func(context.Context) error{b.costs, b.firstBytes, b.memory}
	if o.profile != "" {
		steps = steps[:1]
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bigFile is what the file server sends.
const bigFile = 64 << 20

func writeFiles(dir string) error {
	return os.WriteFile(filepath.Join(dir, "big.bin"), make([]byte, bigFile), 0o600)
}

// A bench has what all measurements need.
type bench struct {
	options
	corpus *corpus
	site   *site
	files  string
}

// The sides: the same site with the gateway and without it, plain and with Caddy's
// own compression.
const (
	bare, gated             = "bare", "gated"
	bareEncode, gatedEncode = "bare-encode", "gated-encode"
)

// start runs the gateway with all sides.
func (b *bench) start(ctx context.Context) (*child.Process, error) {
	lines := func(more string) string {
		return more + fmt.Sprintf("handle_path /files/* {\n\troot %s\n\tfile_server\n}\nhandle {\n\treverse_proxy %s\n}", b.files, b.site.addr)
	}
	const consent = "consent\nhandle_errors {\n\tconsent\n\trespond \"{err.status_code}\"\n}\n"
	return child.Start(ctx, b.binary, child.Config{Sites: map[string]string{
		bare: lines(""), gated: lines(consent),
		bareEncode: lines("encode gzip\n"), gatedEncode: lines("encode gzip\n" + consent),
	}})
}
