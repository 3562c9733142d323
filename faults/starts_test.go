package faults

import (
	"math"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
)

// TestFirstStartCut takes the power away during the first start in a folder. The
// next one goes on from there; who was told of an administrator still has it.
func TestFirstStartCut(t *testing.T) {
	t.Parallel()
	r := chance(t)
	for trial := range 6 * *rounds {
		d := newDisk()
		dir, unmount := mount(t, d)
		s := newServer(t, filepath.Join(dir, "data"))
		s.launch(t)
		cameTrue(t.Context(), time.Duration(r.IntN(600))*time.Millisecond, s.ready)
		ready := s.ready()
		known := ""
		if ready {
			known = s.admin(t).ClientID
		}
		s.kill(t)
		unmount()
		survives := r
		if trial%2 == 0 {
			survives = nil
		}
		s.client = nil // another authority, unless somebody was told of one
		unmount = s.moveTo(t, d.cut(survives))
		s.mustStart(t)
		t.Logf("trial %d: cut after %d operations, ready: %t", trial, d.operations(), ready)
		admin := s.admin(t)
		if ready && admin.ClientID != known {
			t.Errorf("the administrator is another one")
		}
		operator, err := armclient.New(admin)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := operator.CreateSubscription(t.Context(), "first"); err != nil {
			t.Errorf("the administrator cannot do anything: %v", err)
		}
		operator.Close()
		s.kill(t)
		unmount()
	}
}

// admin is the administrator whom a first start makes.
func (s *server) admin(t *testing.T) armclient.Credentials {
	t.Helper()
	creds, err := armclient.FromEnvFile(s.file("admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// TestNoSync lets every sync fail from one on, in the first start in a folder:
// somebody waits for each of them.
func TestNoSync(t *testing.T) {
	t.Parallel()
	for from := 0; ; from += max(30 / *rounds, 1) {
		d := newDisk()
		dir, unmount := mount(t, d)
		s := newServer(t, filepath.Join(dir, "data"))
		d.arm(fault{from: from, only: "sync", times: math.MaxInt, errno: syscall.EIO})
		if s.start(t) {
			s.kill(t)
			return // it takes fewer
		}
		line, err := s.refusal()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("from operation %d on: %s", from, line)
		unmount()
	}
}
