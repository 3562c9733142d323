package eventlog_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/eventlog"
)

const victimFolder = "INTERTIE_TEST_VICTIM"

// runAsVictim is the process that the crash tests kill: it appends from several
// goroutines, consumes without ever being done with some, and prints the number
// of each event that Append called durable.
func runAsVictim() bool {
	dir := os.Getenv(victimFolder)
	if dir == "" {
		return false
	}
	n, err := openNode(context.Background(), dir, eventlog.Options{Tiers: []time.Duration{time.Second}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				id := int(next.Add(1))
				if err := n.Append(context.Background(), entries(id, 1)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("event %d\n", id)
				if err := n.Retry(context.Background(), deliveries(id, 1, time.Now().Add(time.Second))); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("retry %d\n", id)
			}
		})
	}
	wg.Wait()
	return true
}

// kill runs a victim on dir, kills it some time after its first lines and
// returns the numbers that it printed.
func kill(t *testing.T, dir string) (events, retries []int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimFolder+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var deadline <-chan time.Time
	killed := make(chan struct{})
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line cut short was not promised
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		kind, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("the victim says %q", line)
		}
		if kind == "event" {
			events = append(events, id)
		} else {
			retries = append(retries, id)
		}
		if deadline == nil && len(events) > 0 && len(retries) > 0 {
			timer := time.NewTimer(50*time.Millisecond + time.Duration(rand.IntN(300))*time.Millisecond)
			deadline = timer.C
			go func() {
				defer close(killed)
				<-timer.C
				_ = cmd.Process.Kill()
			}()
		}
	}
	if deadline == nil {
		t.Fatalf("the victim said nothing: %s", &stderr)
	}
	<-killed
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the victim ended by itself: %v %s", err, &stderr)
	}
	return events, retries
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // the second time on a folder that was killed before
		events, retries := kill(t, dir)
		if len(events) == 0 || len(retries) == 0 {
			t.Fatal("killed too early")
		}
		n := start(t, dir, eventlog.Options{Tiers: []time.Duration{time.Second}})
		checkEvents(t, n, events)
		checkRetries(t, n, retries)
		n.close(t)
		t.Logf("%d events, %d retries", len(events), len(retries))
	}
}

// A power cut may leave the end of the newest file torn.
func TestNothingAcknowledgedIsLostByATornEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		lost int // records at the end that the damage may take
		tear func([]byte) []byte
	}{
		{"half a record behind", 0, func(b []byte) []byte { return append(b, b[:len(b)/100]...) }},
		{"garbage behind", 0, func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xa5}, 777)...) }},
		{"zeros behind", 0, func(b []byte) []byte { return append(b, make([]byte, 4096)...) }},
		{"last record cut", 1, func(b []byte) []byte { return b[:len(b)-20] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n := start(t, dir, eventlog.Options{Tiers: []time.Duration{time.Second}})
			const many = 50
			var want []int
			for i := range many {
				if err := n.Append(t.Context(), entries(i, 1)); err != nil {
					t.Fatal(err)
				}
				if i < many-c.lost {
					want = append(want, i)
				}
			}
			n.close(t)
			tear(t, dir, c.tear)
			n = start(t, dir, eventlog.Options{Tiers: []time.Duration{time.Second}})
			if err := n.Append(t.Context(), entries(many, 1)); err != nil {
				t.Fatal(err)
			}
			checkEvents(t, n, append(want, many))
		})
	}
}

// tear damages the newest file of events, and removes the index that a crash
// would not have left behind.
func tear(t *testing.T, dir string, damage func([]byte) []byte) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "INTERTIE_EVENTS", "msgs"))
	if err != nil || len(folders) != 1 {
		t.Fatal(folders, err)
	}
	if err := os.Remove(filepath.Join(folders[0], "index.db")); err != nil {
		t.Fatal(err)
	}
	blocks, err := filepath.Glob(filepath.Join(folders[0], "*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatal(blocks, err)
	}
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".blk"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	newest := slices.MaxFunc(blocks, func(a, b string) int { return number(a) - number(b) })
	data, err := os.ReadFile(newest)
	if err != nil || len(data) < 1000 {
		t.Fatal(len(data), err)
	}
	if err := os.WriteFile(newest, damage(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkEvents consumes until every one of want came.
func checkEvents(t *testing.T, n *node, want []int) {
	t.Helper()
	check(t, want, func(ctx context.Context, seen func(int)) error {
		return n.ConsumeEvents(ctx, func(b eventlog.EventBatch) {
			for i := range b.Entries {
				seen(number(b.Entries[i].ID))
			}
			b.Done()
		})
	})
}

func checkRetries(t *testing.T, n *node, want []int) {
	t.Helper()
	check(t, want, func(ctx context.Context, seen func(int)) error {
		return n.ConsumeRetries(ctx, func(b eventlog.DeliveryBatch) {
			for i := range b.Deliveries {
				seen(number(b.Deliveries[i].ID))
			}
			b.Done()
		})
	})
}

func check(t *testing.T, want []int, consume func(context.Context, func(int)) error) {
	t.Helper()
	missing := make(map[int]bool)
	for _, id := range want {
		missing[id] = true
	}
	all := make(chan struct{})
	closeAll := sync.OnceFunc(func() { close(all) })
	stop := background(t, func(ctx context.Context) error {
		return consume(ctx, func(id int) {
			if delete(missing, id); len(missing) == 0 {
				closeAll()
			}
		})
	})
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case <-all:
		stop()
	case <-timeout.C:
		stop()
		t.Fatalf("%d of %d acknowledged are lost", len(missing), len(want))
	}
}
