package publish

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/intertie/intertie/resource"
)

// named returns Channels of channels that publishers name.
func named(all ...*Channel) *Channels {
	c := &Channels{}
	for _, one := range all {
		c.Set(one)
	}
	return c
}

// bySource returns Channels of event channels, each under its source.
func bySource(all map[string][]*Channel) *Channels {
	c := &Channels{}
	for source, channels := range all {
		for _, one := range channels {
			c.SetSource(source, one)
		}
	}
	return c
}

// each calls f with all channels that publishers name.
func (c *Channels) each(f func(*Channel)) {
	if c == nil {
		return
	}
	c.byName.Range(func(_, v any) bool {
		f(v.(*Channel))
		return true
	})
}

// Channels behave as a map by name, of which those of a source are a view.
func TestChannels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type event struct {
			key     string
			channel *Channel
		}
		var c Channels
		byName, byEvent, obscure := map[string]*Channel{}, map[string]event{}, map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			channel := &Channel{Name: rapid.SampledFrom([]string{"a", "A", "b", "c"}).Draw(t, "name")}
			name := strings.ToLower(channel.Name)
			switch rapid.IntRange(0, 4).Draw(t, "action") {
			case 0:
				c.Set(channel)
				byName[name] = channel
			case 1:
				c.Remove(channel.Name)
				delete(byName, name)
			case 2:
				key := rapid.SampledFrom([]string{"/x", "/y"}).Draw(t, "key")
				c.SetSource(key, channel)
				byEvent[name] = event{key, channel}
				delete(obscure, name)
			case 3:
				c.RemoveSource(channel.Name)
				delete(byEvent, name)
				delete(obscure, name)
			case 4:
				c.Obscure(channel.Name)
				delete(byEvent, name)
				obscure[name] = true
			}
			for _, name := range []string{"a", "b", "c"} {
				if got := c.named(strings.ToUpper(name)); got != byName[name] {
					t.Fatalf("%s is %v, want %v", name, got, byName[name])
				}
			}
			for _, key := range []string{"/x", "/y"} {
				var want []*Channel
				for _, name := range []string{"a", "b", "c"} {
					if e := byEvent[name]; e.key == key {
						want = append(want, e.channel)
					}
				}
				if got := c.of(key); !slices.Equal(got, want) {
					t.Fatalf("of %s: %v, want %v", key, got, want)
				}
			}
			if got := c.obscured(); got != (len(obscure) > 0) {
				t.Fatalf("obscured %v with %v", got, obscure)
			}
		}
	})
	none := (*Channels)(nil)
	if none.named("a") != nil || none.of("/x") != nil || none.obscured() {
		t.Error("the nil Channels has something")
	}
}

// Channels come and go under publishers, and those that stay are not missed; run
// with -race.
func TestChannelsChangeUnderPublish(t *testing.T) {
	stays := &Channel{Name: "stays", Topic: resource.NewUID(), State: Activated}
	channels := &Channels{}
	channels.SetSource("/a", stays)
	f := newFixture(t, func(_ *Handler, s *Source) { s.Routing, s.Channels = SourceEventAttribute, channels })
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 300 {
			name := fmt.Sprintf("%c%d", "az"[i%2], i%5) // before and behind it
			channels.SetSource("/a", &Channel{Name: name, Topic: resource.NewUID(), State: Deactivated})
			channels.RemoveSource(fmt.Sprintf("%c%d", "za"[i%2], i%5))
		}
	})
	const requests = 50
	for range requests {
		if a := f.send(t, events("/a"), nil); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	wg.Wait()
	taken := 0
	for _, e := range f.log.entries {
		if e.Topic == stays.Topic {
			taken++
		}
	}
	if taken != requests {
		t.Errorf("the channel that stays got %d of %d events", taken, requests)
	}
}

// What is there and cannot be read is refused for a while, never accepted and lost,
// and never said to be gone; its neighbours go on.
func TestWhatCannotBeReadIsRefusedForAWhile(t *testing.T) {
	good := &Channel{Name: "good", Topic: resource.NewUID(), State: Activated}
	bad := &Channel{Name: "bad", Topic: resource.NewUID(), State: Activated, Unreadable: true}
	to := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Aeg-Channel-Name", name) }
	}
	refused := func(t *testing.T, a answer) {
		t.Helper()
		if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "cannot be read") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	f := newFixture(t, func(_ *Handler, s *Source) { s.Channels = named(good, bad) })
	refused(t, f.send(t, one, to("bad")))
	if a := f.send(t, one, to("good")); a.status != 200 {
		t.Errorf("the neighbour: %d %s", a.status, a.body)
	}

	channels := bySource(map[string][]*Channel{"/a": {good}, "/b": {bad}})
	f = newFixture(t, func(_ *Handler, s *Source) { s.Routing, s.Channels = SourceEventAttribute, channels })
	refused(t, f.send(t, events("/a", "/b"), nil))
	if len(f.log.entries) != 0 {
		t.Errorf("%d events of a refused request were stored", len(f.log.entries))
	}
	if a := f.send(t, events("/a"), nil); a.status != 200 {
		t.Errorf("the neighbour: %d %s", a.status, a.body)
	}
	channels.Obscure("Bad")
	refused(t, f.send(t, events("/of nobody as far as we know"), nil))
	channels.RemoveSource("bad")
	if a := f.send(t, events("/a"), nil); a.status != 200 {
		t.Errorf("after it was deleted: %d %s", a.status, a.body)
	}

	f = newFixture(t, func(_ *Handler, s *Source) {
		*s = Source{UID: s.UID, ID: s.ID, Name: s.Name, Region: s.Region, Unreadable: true}
	})
	refused(t, f.send(t, one, to("orders")))
}
