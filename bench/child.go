package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

const (
	startTimeout = 20 * time.Second // until a child says that it is ready
	stopTimeout  = 5 * time.Second  // between asking a child to end and ending it

	// runFile is what a server leaves in its data folder when it is ready.
	runFile = "run.json"
)

// child is a process of this program's own binary. Whoever starts one stops it.
type child struct {
	name   string
	cmd    *exec.Cmd
	stderr tail
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended; read after done
}

// start runs the binary with args. Its standard output goes to out, and the
// last of its standard error into the errors that speak of it.
func start(o Options, out io.Writer, name string, args ...string) (*child, error) {
	c := &child{name: name, done: make(chan struct{})}
	c.cmd = exec.Command(o.Executable, args...)
	c.cmd.Env = append(os.Environ(), o.Env...)
	c.cmd.Stdout, c.cmd.Stderr = out, &c.stderr
	c.cmd.SysProcAttr = dieWithParent()
	// A grandchild that holds the pipes must not hold Wait.
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop asks the process to end, makes it end when it does not, and returns when
// it has.
func (c *child) stop() {
	if c.cmd.Process.Signal(terminate) != nil {
		_ = c.cmd.Process.Kill()
	}
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// died is the error of a child that ended by itself.
func (c *child) died() error {
	return fmt.Errorf("%s ended: %w\n%s", c.name, errors.Join(c.err, errors.New("it was not asked to")), c.stderr.String())
}

// await calls probe every few milliseconds until it has an answer, the child
// ends, or the time is over.
func (c *child) await(ctx context.Context, within time.Duration, probe func() (ready, bool)) (ready, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, ok := probe(); ok {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-c.done:
			return ready{}, c.died()
		case <-ctx.Done():
			return ready{}, fmt.Errorf("wait for %s to be ready: %w\n%s", c.name, context.Cause(ctx), c.stderr.String())
		}
	}
}

// startServer runs Intertie on the data folder dir, which must hold no runFile,
// and waits for it.
func startServer(ctx context.Context, o Options, dir string, within time.Duration) (*child, ready, error) {
	c, err := start(o, io.Discard, "intertie serve", "serve", "--data", dir,
		"--listen", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--allow-private-webhooks")
	if err != nil {
		return nil, ready{}, err
	}
	r, err := c.await(ctx, within, func() (ready, bool) {
		b, err := os.ReadFile(filepath.Join(dir, runFile))
		if err != nil {
			return ready{}, false
		}
		var r ready
		// What does not parse is not written to its end yet.
		return r, json.Unmarshal(b, &r) == nil && r.URL != "" && r.HTTP != ""
	})
	if err != nil {
		c.stop()
		return nil, ready{}, err
	}
	return c, r, nil
}

// startBaseline runs the baselines and waits for their first line of output.
func startBaseline(ctx context.Context, o Options, forward string) (*child, ready, error) {
	var out firstLine
	c, err := start(o, &out, "intertie bench-baseline", "bench-baseline", "--addr", "127.0.0.1:0", "--forward", forward)
	if err != nil {
		return nil, ready{}, err
	}
	r, err := c.await(ctx, startTimeout, func() (r ready, ok bool) {
		line, ok := out.get()
		return r, ok && json.Unmarshal(line, &r) == nil && r.HTTP != ""
	})
	if err != nil {
		c.stop()
		return nil, ready{}, err
	}
	return c, r, nil
}

// tail keeps the end of what is written to it. Safe for concurrent use.
type tail struct {
	mu sync.Mutex // protects b
	b  []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// firstLine keeps the first line that is written to it. Safe for concurrent
// use.
type firstLine struct{ t tail }

func (f *firstLine) Write(p []byte) (int, error) {
	if _, ok := f.get(); ok {
		return len(p), nil
	}
	return f.t.Write(p)
}

func (f *firstLine) get() ([]byte, bool) {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	n, line, _ := bufio.ScanLines(f.t.b, false)
	return line, n > 0
}
