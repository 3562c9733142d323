package eventlog_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventlog"
)

const victimFolder = "INTERTIE_TEST_VICTIM"

// runAsVictim is the process that the crash tests kill.
func runAsVictim() bool {
	dir := os.Getenv(victimFolder)
	if dir == "" {
		return false
	}
	first, err := strconv.Atoi(os.Getenv(victimFolder + "_FIRST"))
	if err == nil {
		err = beVictim(dir, first)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
	return true
}

// beVictim appends events from several goroutines, takes them and sends each its
// way. It says of each what the log has called durable, and of one that it is done
// with before it says so to the log.
func beVictim(dir string, first int) error {
	ctx := context.Background()
	n, err := openNode(ctx, local.Options{Dir: dir}, eventlog.Options{})
	if err != nil {
		return err
	}
	var g errgroup.Group
	var next atomic.Int64
	next.Store(int64(first))
	for range 8 {
		g.Go(func() error {
			for {
				id := int(next.Add(2)) - 2
				if err := n.Append(ctx, entries(id, 2)); err != nil {
					return err
				}
				fmt.Printf("took %d\ntook %d\n", id, id+1)
			}
		})
	}
	taken := make(chan out, 1000)
	g.Go(func() error { return n.ConsumeEvents(ctx, sendingEvents(ctx, taken)) })
	for range 8 {
		g.Go(func() error {
			for o := range taken {
				id := number(o.ID)
				var err error
				switch id % 7 {
				case 0:
					err = n.Retry(ctx, o.to(subA, time.Now()))
				case 1:
					err = n.DeadLetter(ctx, o.to(subA, time.Now()))
				case 2:
					err = n.Overflow(ctx, subA, o.to(subA, time.Time{}))
				case 3: // for ever under way
					continue
				default:
					fmt.Printf("done %d\n", id)
					o.claim.Release()
					continue
				}
				if err != nil {
					return err
				}
				fmt.Printf("moved %d\n", id)
			}
			return nil
		})
	}
	return g.Wait()
}

// said is what a victim has said of events, by their numbers.
type said struct{ took, moved, done map[int]bool }

// kill runs a victim on dir, kills it some time after it has said something of each
// kind, and returns what it has said.
func kill(t *testing.T, dir string, first int) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimFolder+"="+dir, fmt.Sprintf("%s_FIRST=%d", victimFolder, first))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	s := said{took: make(map[int]bool), moved: make(map[int]bool), done: make(map[int]bool)}
	kinds := map[string]map[int]bool{"took": s.took, "moved": s.moved, "done": s.done}
	lines := bufio.NewReader(out)
	var killer *time.Timer
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line cut short was not said
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		kind, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, err := strconv.Atoi(text)
		if err != nil || kinds[kind] == nil {
			t.Fatalf("the victim says %q", line)
		}
		kinds[kind][id] = true
		if killer == nil && len(s.took) > 0 && len(s.moved) > 0 && len(s.done) > 0 {
			killer = time.AfterFunc(50*time.Millisecond+time.Duration(rand.IntN(300))*time.Millisecond, func() {
				_ = cmd.Process.Kill()
			})
		}
	}
	if err := cmd.Wait(); err == nil || killer == nil || stderr.Len() > 0 {
		t.Fatalf("the victim ended by itself: %v %s", err, &stderr)
	}
	return s
}

// left takes everything that a log has, and returns how often each event is there:
// among the events, and in the queues.
func left(t *testing.T, n *node) (events, queues map[int]int) {
	t.Helper()
	events, queues = make(map[int]int), make(map[int]int)
	ch := make(chan out, 1000)
	consumers := []func(){
		background(t, func(ctx context.Context) error { return n.ConsumeRetries(ctx, sending(ctx, ch)) }),
		background(t, func(ctx context.Context) error { return n.ConsumeDeadLetters(ctx, sending(ctx, ch)) }),
		background(t, func(ctx context.Context) error {
			if err := n.ConsumeBacklog(ctx, subA, sending(ctx, ch)); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}),
	}
	accepted := make(chan out, 1000)
	consumers = append(consumers, background(t, func(ctx context.Context) error {
		return n.ConsumeEvents(ctx, sendingEvents(ctx, accepted))
	}))
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for empty := n.kept() == 0; !empty; {
		select {
		case o := <-ch:
			queues[number(o.ID)]++
			o.claim.Release()
		case o := <-accepted:
			events[number(o.ID)]++
			o.claim.Release()
		case <-tick.C:
			empty = n.kept() == 0
		case <-timeout.C:
			t.Fatalf("%d things do not come out", n.kept())
		}
	}
	for _, stop := range consumers {
		stop()
	}
	return events, queues
}

// Of what a killed process has called durable nothing is lost; what it has moved is
// where it was moved to, and there alone.
func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	dir := t.TempDir()
	first := 0
	for range 3 { // the later ones on a folder that was killed before
		s := kill(t, dir, first)
		n := startWith(t, local.Options{Dir: dir}, eventlog.Options{})
		events, queues := left(t, n)
		n.close(t)
		repeated := 0
		for id := range s.took {
			if events[id]+queues[id] == 0 && !s.done[id] {
				t.Errorf("event %d was acknowledged and is lost", id)
			}
			if s.done[id] && events[id] > 0 {
				repeated++
			}
		}
		for id := range s.moved {
			if events[id] != 0 || queues[id] != 1 {
				t.Errorf("event %d was moved; it is %d times among the events, %d times in the queues", id, events[id], queues[id])
			}
		}
		for id, n := range queues {
			if events[id] > 0 || n > 1 || s.done[id] {
				t.Errorf("event %d is %d times in the queues, %d times among the events", id, n, events[id])
			}
		}
		for id, n := range events {
			if n > 1 || id < first {
				t.Errorf("event %d is there %d times", id, n)
			}
		}
		t.Logf("%d events, %d moved, %d done, %d of them repeated", len(s.took), len(s.moved), len(s.done), repeated)
		if repeated*2 > len(s.done) {
			t.Errorf("%d of %d that were done come again", repeated, len(s.done))
		}
		first = max(first, slices.Max(slices.Collect(maps.Keys(s.took)))+1000)
	}
}
