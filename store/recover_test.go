package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/resource"
)

// messagesOf returns the messages of one transaction as Commit would write
// them: the redo record, then one per write.
func messagesOf(t *testing.T, s *Store, fn func(resource.Tx)) []*nats.Msg {
	t.Helper()
	tx := &Tx{store: s, writes: make(map[string]*pending)}
	fn(tx)
	redo := transaction{Version: recordVersion}
	var writes []*nats.Msg
	for _, key := range tx.order {
		m := nats.NewMsg(subjectOf(key))
		w := txWrite{Key: key}
		if r := tx.writes[key].resource; r != nil {
			data, err := encode(r, s.opts.Sealer)
			if err != nil {
				t.Fatal(err)
			}
			m.Data, w.Data = data, data
		} else {
			m.Data = []byte(key)
			m.Header.Set(headerDeleted, "1")
		}
		writes, redo.Writes = append(writes, m), append(redo.Writes, w)
	}
	first := nats.NewMsg(subjectTransaction)
	var err error
	if first.Data, err = json.Marshal(redo); err != nil {
		t.Fatal(err)
	}
	return append([]*nats.Msg{first}, writes...)
}

func publishRaw(t *testing.T, e *engine.Engine, ms ...*nats.Msg) {
	t.Helper()
	for _, m := range ms {
		if _, err := e.JetStream().PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash may leave any number of the messages of a transaction on the disk, in
// their order. None of them: nothing happened. One or more: all of it did.
func TestATransactionCutShortIsCompleted(t *testing.T) {
	e := openEngine(t, t.TempDir())
	for k := range 5 {
		t.Run(fmt.Sprintf("%d messages", k), func(t *testing.T) {
			rg := fmt.Sprintf("rg%d", k)
			s := openStore(t, e)
			put(t, s, topic(rg, "changed", "old"), topic(rg, "deleted", "old"))
			before := values(s, groupID(rg))
			ms := messagesOf(t, s, func(tx resource.Tx) {
				tx.Put(topic(rg, "created", "new"))
				tx.Put(topic(rg, "changed", "new"))
				tx.Delete(topicID(rg, "deleted"))
			})
			s.Close()
			publishRaw(t, e, ms[:k]...)
			want := before
			if k > 0 {
				want = map[string]string{"created": "new", "changed": "new"}
			}
			for range 2 { // completing it twice is completing it once
				s := openStore(t, e)
				if diff := cmp.Diff(want, values(s, groupID(rg))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				s.Close()
			}
		})
	}
}

func TestCompletingDoesNotTouchWhatWasWrittenLater(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	commit(t, s, func(tx resource.Tx) error {
		tx.Put(topic("rg", "a", "1"))
		tx.Put(topic("rg", "b", "1"))
		return nil
	})
	put(t, s, topic("rg", "a", "2"))
	remove(t, s, topicID("rg", "b"))
	s.Close()
	if diff := cmp.Diff(map[string]string{"a": "2"}, values(openStore(t, e), resource.ID{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommitsGoOnAfterRecovery(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	ms := messagesOf(t, s, func(tx resource.Tx) {
		tx.Put(topic("rg", "a", "1"))
		tx.Put(topic("rg", "b", "1"))
	})
	s.Close()
	publishRaw(t, e, ms[:2]...)
	s = openStore(t, e)
	put(t, s, topic("rg", "a", "2"), topic("rg", "b", "2"))
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "2"}, values(s, resource.ID{})); diff != "" {
		t.Error(diff)
	}
}

func TestNewerRecordsAreRefused(t *testing.T) {
	for name, msg := range map[string]*nats.Msg{
		"resource":    {Subject: subjectOf(topicID("rg", "a").Key()), Data: []byte(`{"v":2,"id":"` + topicID("rg", "a").String() + `"}`)},
		"transaction": {Subject: subjectTransaction, Data: []byte(`{"v":2,"writes":[]}`)},
	} {
		e := openEngine(t, t.TempDir())
		openStore(t, e).Close()
		publishRaw(t, e, msg)
		_, err := Open(t.Context(), options(t, e))
		if err == nil || !strings.Contains(err.Error(), "newer version of Intertie") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUnreadableRecordsAreRefused(t *testing.T) {
	for name, data := range map[string]string{"no JSON": "{", "no id": `{"v":1,"id":"/foo/bar"}`, "short seal": `{"v":1,"id":"/","sealed":"AAAA"}`} {
		e := openEngine(t, t.TempDir())
		openStore(t, e).Close()
		publishRaw(t, e, &nats.Msg{Subject: subjectPrefix + "x", Data: []byte(data)})
		if s, err := Open(t.Context(), options(t, e)); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
}

// A record that cannot be read must stop a running node too, loudly: it would
// act on less than is stored.
func TestUnreadableRecordWhileRunning(t *testing.T) {
	e := openEngine(t, t.TempDir())
	s := openStore(t, e)
	publishRaw(t, e, &nats.Msg{Subject: subjectPrefix + "x", Data: []byte(`{"v":2}`)})
	<-s.done
	if err := s.Healthy(); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
	err := s.Commit(t.Context(), func(resource.Tx) error { return errors.New("not asked") })
	if err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("commit: %v", err)
	}
}
