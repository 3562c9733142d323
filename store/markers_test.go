package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// forgetful opens a store that keeps markers for a moment only.
func forgetful(t *testing.T, e *engine.Engine) *Store {
	t.Helper()
	o := options(t, e)
	o.KeepMarkers = 20 * time.Millisecond
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func inStream(t *testing.T, s *Store, id resource.ID) bool {
	t.Helper()
	_, err := s.stream.GetLastMsgForSubject(t.Context(), subjectOf(id.Key()))
	return err == nil
}

func untilGone(t *testing.T, s *Store, id resource.ID) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if !inStream(t, s, id) {
			return
		}
	}
	t.Fatalf("the marker of %s stays", id)
}

func TestOldMarkersLeaveTheStream(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := forgetful(t, e)
	put(t, s, topic("rg", "a", "1"))
	put(t, s, topic("rg", "b", "1"))
	remove(t, s, topicID("rg", "a"))
	untilGone(t, s, topicID("rg", "a"))
	put(t, s, topic("rg", "a", "2"))
	want := map[string]string{"a": "2", "b": "1"}
	if diff := cmp.Diff(want, values(s, resource.ID{})); diff != "" {
		t.Error(diff)
	}
	s.Close()
	if diff := cmp.Diff(want, values(openStore(t, e), resource.ID{})); diff != "" {
		t.Errorf("after reopening: %s", diff)
	}
}

// Recovery takes a resource of the newest transaction that has no newer message
// for one whose write is missing, so such markers must stay.
func TestMarkersThatRecoveryNeedsStay(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := forgetful(t, e)
	put(t, s, topic("rg", "a", "1"), topic("rg", "b", "1"))
	put(t, s, topic("rg", "free", "1"))
	remove(t, s, topicID("rg", "b"))
	remove(t, s, topicID("rg", "free"))
	untilGone(t, s, topicID("rg", "free")) // so b's turn has come too
	if !inStream(t, s, topicID("rg", "b")) {
		t.Error("the marker of b is gone")
	}
	s.Close()
	s = forgetful(t, e)
	if diff := cmp.Diff(map[string]string{"a": "1"}, values(s, resource.ID{})); diff != "" {
		t.Errorf("risen again: %s", diff)
	}
	put(t, s, topic("rg", "c", "1"), topic("rg", "d", "1"))
	untilGone(t, s, topicID("rg", "b"))
	s.Close()
	if diff := cmp.Diff(map[string]string{"a": "1", "c": "1", "d": "1"}, values(openStore(t, e), resource.ID{})); diff != "" {
		t.Errorf("risen again: %s", diff)
	}
}

// The last messages of a stream may be gone, or all of them.
func TestAStreamWithoutMessagesOpens(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := forgetful(t, e)
	put(t, s, topic("rg", "a", "1"))
	remove(t, s, topicID("rg", "a"))
	untilGone(t, s, topicID("rg", "a"))
	s.Close()
	s = openStore(t, e)
	put(t, s, topic("rg", "b", "1"))
	if diff := cmp.Diff(map[string]string{"b": "1"}, values(s, resource.ID{})); diff != "" {
		t.Error(diff)
	}
}
