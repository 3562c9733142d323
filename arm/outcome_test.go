package arm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/resource"
)

var errUnknown = fmt.Errorf("write resources: %w (no answer)", resource.Errorf(resource.OutcomeUnknown, "It is not known whether the change is stored."))

// unknowing makes the store say that it does not know what became of the next
// commits, and keep them or not.
func (f *fixture) unknowing(keep bool, of int) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	once := func() error {
		if of--; of < 0 {
			return nil
		}
		return errUnknown
	}
	f.store.before, f.store.after = nil, nil
	if keep {
		f.store.after = once
	} else {
		f.store.before = func(memory) error { return once() }
	}
}

// What nobody knows is told as that, and not as a failure.
func TestAnUnknownOutcomeIsToldAsThat(t *testing.T) {
	for _, keep := range []bool{true, false} {
		f := newFixture(t).listen()
		var log bytes.Buffer
		f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		f.unknowing(keep, 1)
		f.put("owner", customerRG+provider+"/topics/topic1", `{"location":"westeurope"}`).wantError(504, "GatewayTimeout", "not known")
		if told := f.told.take(); len(told) > 0 {
			t.Errorf("events: %v", told)
		}
		if line := log.String(); !strings.Contains(line, "result=unknown") || strings.Contains(line, "result=failed") || !strings.Contains(line, "no answer") {
			t.Errorf("logged: %s", line)
		}
		f.get("owner", customerRG+provider+"/topics/topic1").want(map[bool]int{true: 200, false: 404}[keep])
		f.put("owner", customerRG+provider+"/topics/topic1", `{"location":"westeurope"}`).want(201)
	}
}

// A deployment that is stored after all is carried out.
func TestADeploymentThatMayBeStored(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.unknowing(true, 1)
	f.put("owner", deployments+"kept", wrap(quickstart, quickstartParameters, "")).wantError(504, "GatewayTimeout")
	f.waitFor("it has succeeded", func() bool {
		return f.get("owner", deployments+"kept").at("properties", "provisioningState") == "Succeeded"
	})
	f.get("owner", customerRG+provider+"/topics/orders").want(200)
}

func TestADeploymentThatIsNotStored(t *testing.T) {
	f := newFixture(t)
	f.unknowing(false, 1)
	f.put("owner", deployments+"gone", wrap(emptyTemplate, "", "")).wantError(504, "GatewayTimeout")
	f.Deployments.resolve()
	if f.Deployments.total != 1 {
		t.Errorf("%d places are taken; it could still show itself", f.Deployments.total)
	}
	f.now = f.now.Add(silence + time.Second)
	f.Deployments.resolve()
	if d := f.Deployments; d.total != 0 || len(d.live) > 0 || d.size != 0 || len(d.bytes) > 0 {
		t.Errorf("it still has its place: %d, %v, %d bytes", d.total, d.live, d.size)
	}
	f.get("owner", deployments+"gone").want(404)
}

// A resource of which that is said is written once more, which makes it so.
func TestAResourceOfADeploymentThatMayBeStored(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.store.mu.Lock()
	said := false
	f.store.after = func() error {
		if _, ok := f.store.all.Get(mustID(t, customerRG+provider+"/topics/orders")); ok && !said {
			said = true
			return errUnknown
		}
		return nil
	}
	f.store.mu.Unlock()
	f.deploy("again", wrap(quickstart, quickstartParameters, "")).wantState("Succeeded")
	if !said {
		t.Error("nothing was in doubt")
	}
}

func mustID(t *testing.T, text string) resource.ID {
	t.Helper()
	id, err := resource.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// One whose end could not be stored does not stay under way for ever.
func TestADeploymentThatNobodyRunsIsEnded(t *testing.T) {
	f := newFixture(t)
	lost := f.put("owner", deployments+"lost", wrap(emptyTemplate, "", "")).want(201)
	f.Deployments.release(f.Deployments.waiting[0])
	f.Deployments.waiting = nil
	waits := f.put("owner", deployments+"waits", wrap(emptyTemplate, "", "")).want(201)
	f.Deployments.beat(t.Context())
	f.get("owner", deployments+"waits").wantState("Accepted")
	a := f.ended(lost).wantState("Failed")
	if !strings.Contains(a.raw, "could not be stored") || strings.Contains(a.raw, "The server stopped") {
		t.Errorf("got %s", a.raw)
	}
	f.running()
	f.ended(waits).wantState("Succeeded")
}

// What was deployed and cannot be stored has failed, for whoever looks and whoever
// listens.
func TestOutputsThatAreTooLarge(t *testing.T) {
	for name, tpl := range map[string]string{
		"outputs": `{"resources":[],"outputs":{"o":{"type":"string","value":"too much"}}}`,
		"inside": `{"resources":[{"type":"Microsoft.Resources/deployments","apiVersion":"2021-04-01","name":"inner",
		  "properties":{"mode":"Incremental","template":{"resources":[],"outputs":{"o":{"type":"string","value":"too much"}}}}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t).listen()
			f.store.mu.Lock()
			f.store.before = func(next memory) error {
				for _, r := range next.List(typeDeployment, resource.ID{}) {
					if strings.Contains(string(r.Properties), `"too much"`) {
						return resource.Errorf(resource.RequestTooLarge, "too large")
					}
				}
				return nil
			}
			f.store.mu.Unlock()
			f.running()
			a := f.deploy("large", wrap(tpl, "", "")).wantState("Failed")
			if !strings.Contains(a.raw, "Everything was deployed") {
				t.Errorf("got %s", a.raw)
			}
			var told []string
			f.waitFor("the end is told", func() bool {
				f.told.mu.Lock()
				defer f.told.mu.Unlock()
				told = append(told, f.told.take()...)
				return len(told) > 0
			})
			if all := strings.Join(told, "\n"); !strings.Contains(all, "WriteFailure C/rg-c/providers/Microsoft.Resources/deployments/large") || strings.Contains(all, "WriteSuccess C/rg-c/providers/Microsoft.Resources/deployments/large") {
				t.Errorf("told %s", all)
			}
		})
	}
}

// A failure that is too large keeps its first reasons.
func TestAFailureThatIsTooLarge(t *testing.T) {
	f := newFixture(t)
	f.store.before = func(next memory) error {
		for _, r := range next.List(typeDeployment, resource.ID{}) {
			if len(r.Properties) > 4000 {
				return resource.Errorf(resource.RequestTooLarge, "too large")
			}
		}
		return nil
	}
	f.hooks.fail = resource.Errorf(resource.URLValidation, "%s", "The endpoint says "+strings.Repeat("no", 5000))
	f.running()
	a := f.deploy("bad", wrap(quickstart, quickstartParameters, "")).wantState("Failed")
	if !strings.Contains(a.raw, "The endpoint says nono") || strings.Contains(a.raw, "Everything was deployed") {
		t.Errorf("got %.500s", a.raw)
	}
}

// A server that stops with deployments that never began does not wait for a disk
// that takes nothing.
func TestAStopWithAFullDisk(t *testing.T) {
	f := newFixture(t)
	f.Deployments = NewDeployments(DeploymentOptions{Concurrent: 1})
	f.Init()
	for i := range 5 {
		f.put("owner", fmt.Sprint(deployments, "w", i), wrap(emptyTemplate, "", "")).want(201)
	}
	f.store.mu.Lock()
	f.store.fail = errors.New("disk full")
	f.store.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() { done <- f.Deployments.Run(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * lastWords):
		t.Fatal("it still waits")
	}
}

// A caller who goes while the store writes is no reason to tell of a failure: it was
// carried out.
func TestACallerWhoGoesDuringTheCommit(t *testing.T) {
	f := newFixture(t).listen()
	stop := f.running()
	var log bytes.Buffer
	f.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for path, body := range map[string]string{
		customerRG + provider + "/topics/topic1": `{"location":"westeurope"}`,
		deployments + "d":                        wrap(quickstart, quickstartParameters, ""),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		f.store.mu.Lock()
		f.store.after = func() error { cancel(); return nil }
		f.store.mu.Unlock()
		r := httptest.NewRequestWithContext(ctx, "PUT", base+path+"?api-version="+version, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+f.token("owner", "https://management.azure.com/"))
		a := f.send(r).want(201)
		f.store.mu.Lock()
		f.store.after = nil
		f.store.mu.Unlock()
		if path == deployments+"d" {
			f.ended(a).wantState("Succeeded")
		}
	}
	stop() // nothing is told or logged any more
	f.told.mu.Lock()
	defer f.told.mu.Unlock()
	if told := strings.Join(f.told.take(), "\n"); !strings.Contains(told, "WriteSuccess C/rg-c/EG/topics/topic1") || strings.Contains(told, "WriteFailure") || strings.Contains(told, "WriteCancel") {
		t.Errorf("told %s", told)
	}
	if !strings.Contains(log.String(), "result=done") || strings.Contains(log.String(), "result=failed") {
		t.Errorf("logged %s", &log)
	}
}
