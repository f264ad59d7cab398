package caddymodule

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
)

// No test leaves a goroutine of ours behind, nor one that waits for us. Caddy's
// log files keep one each, for good.
func TestMain(m *testing.M) {
	code := m.Run()
	_ = caddy.Stop()
	plainClient.CloseIdleConnections()
	logFiles := goleak.IgnoreAnyFunction("github.com/DeRuina/timberjack.(*Logger).millRun")
	// Requests of a stopped configuration may take as long as the grace period.
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err = goleak.Find(logFiles); err == nil {
			break
		}
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
