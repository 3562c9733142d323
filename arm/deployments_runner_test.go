package arm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// waitFor lets the server work until ok.
func (f *fixture) waitFor(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			f.t.Fatalf("not reached: %s", what)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-f.t.Context().Done():
		}
	}
}

const consentTemplate = `{"resources":[
  {"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"top1","location":"westeurope"},
  {"type":"Microsoft.EventGrid/topics/eventSubscriptions","apiVersion":"2022-06-15","name":"top1/hook","dependsOn":["top1"],
   "properties":{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"https://erp.example/hook"}}}},
  {"type":"Microsoft.EventGrid/topics","apiVersion":"2022-06-15","name":"top2","location":"westeurope","dependsOn":["top1/hook"]}
]}`

// waiting starts a deployment that waits for somebody's consent.
func (f *fixture) waiting(name string) *answer {
	f.t.Helper()
	f.hooks.granted = false
	started := f.put("owner", deployments+name, wrap(consentTemplate, "", "")).want(201)
	f.waitFor("the subscription awaits consent", func() bool {
		return f.get("owner", customerRG+provider+"/topics/top1/eventSubscriptions/hook").at("properties", "provisioningState") == "AwaitingManualAction"
	})
	return started
}

func TestADeploymentWaitsForConsent(t *testing.T) {
	f := newFixture(t)
	f.running()
	started := f.waiting("w")
	f.put("owner", deployments+"w", wrap(emptyTemplate, "", "")).wantError(409, "DeploymentActive", "'w'")
	f.delete("owner", deployments+"w").wantError(409, "DeploymentActive")
	f.get("owner", deployments+"w").wantState("Running")
	f.hooks.mu.Lock()
	link := f.link()
	f.hooks.mu.Unlock()
	f.open("GET", link).want(200)
	f.ended(started).wantState("Succeeded")
	f.get("owner", customerRG+provider+"/topics/top2").want(200)
}

func TestCancel(t *testing.T) {
	f := newFixture(t)
	f.running()
	started := f.waiting("c")
	f.post("owner", deployments+"c/cancel", "").want(204)
	a := f.ended(started).wantState("Canceled")
	if a.at("properties", "error", "code") != "DeploymentCanceled" {
		t.Errorf("got %s", a.raw)
	}
	f.waitFor("the runner has let go", func() bool {
		f.Deployments.mu.Lock()
		defer f.Deployments.mu.Unlock()
		return f.Deployments.total == 0 && len(f.Deployments.live) == 0
	})
	f.get("owner", customerRG+provider+"/topics/top2").want(404)
	ops, _ := f.get("owner", deployments+"c/operations").at("value").([]any)
	if len(ops) != 2 {
		t.Errorf("operations: %v", ops)
	}
}

func TestARestartEndsWhatWasRunning(t *testing.T) {
	f := newFixture(t)
	stop := f.running()
	started := f.waiting("r")
	stop()
	a := f.ended(started).wantState("Failed")
	if !strings.Contains(a.raw, "The server stopped before it ended") {
		t.Errorf("got %s", a.raw)
	}
	f.put("owner", deployments+"late", wrap(emptyTemplate, "", "")).wantError(503, "ServiceUnavailable", "stopping")

	// A process that was killed wrote no such thing.
	next := NewDeployments(DeploymentOptions{})
	f.Deployments = next
	f.Init()
	killed := f.put("owner", deployments+"killed", wrap(emptyTemplate, "", "")).want(201)
	f.Deployments = NewDeployments(DeploymentOptions{})
	f.Init()
	f.running()
	a = f.ended(killed).wantState("Failed")
	if !strings.Contains(a.raw, "The server stopped") || !strings.Contains(a.raw, "Deploy again") {
		t.Errorf("got %s", a.raw)
	}
	f.ended(f.put("owner", deployments+"killed", wrap(emptyTemplate, "", "")).want(200)).wantState("Succeeded")
}

func TestAnotherProcessIsLeftAloneUntilItIsSilent(t *testing.T) {
	f := newFixture(t)
	f.put("owner", deployments+"theirs", wrap(emptyTemplate, "", "")).want(201)
	f.Deployments = NewDeployments(DeploymentOptions{Shared: true})
	f.Init()
	if err := f.Deployments.endAbandoned(t.Context(), interrupted("it ended")); err != nil {
		t.Fatal(err)
	}
	f.get("owner", deployments+"theirs").wantState("Accepted")
	f.now = f.now.Add(silence + time.Second)
	mine := f.put("owner", deployments+"mine", wrap(emptyTemplate, "", "")).want(201)
	f.now = f.now.Add(silence + time.Second)
	f.Deployments.beat(t.Context())
	f.get("owner", deployments+"theirs").wantState("Failed")
	f.get("owner", deployments+"mine").wantState("Accepted")
	f.running()
	f.ended(mine).wantState("Succeeded")
}

func TestTheQueueIsBounded(t *testing.T) {
	f := newFixture(t)
	f.Deployments = NewDeployments(DeploymentOptions{Open: 2})
	f.Init()
	one := f.put("owner", deployments+"1", wrap(emptyTemplate, "", "")).want(201)
	f.put("owner", deployments+"2", wrap(emptyTemplate, "", "")).want(201)
	a := f.put("owner", deployments+"3", wrap(emptyTemplate, "", "")).wantError(429, "TooManyRequests", "2 deployments")
	if a.header.Get("Retry-After") != "10" {
		t.Errorf("got %v", a.header)
	}
	f.put("owner", strings.Replace(strings.Replace(deployments, customerSub, partnerSub, 1), "rg-c", "rg-p", 1)+"4", wrap(emptyTemplate, "", "")).want(201)
	f.running()
	f.ended(one).wantState("Succeeded")
}

func TestTheHistoryIsBounded(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.deploy("first", wrap(emptyTemplate, "", ""))
	id, err := resource.ParseID(deployments + "first")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := f.store.Get(id)
	for i := range mostDeployments {
		c := first.Clone()
		c.ID = id.Scope().Provider(typeDeployment, fmt.Sprint("n", i))
		c.ModifiedAt = c.ModifiedAt.Add(time.Duration(i+1) * time.Second)
		f.store.mu.Lock()
		f.store.all.Put(c)
		f.store.mu.Unlock()
	}
	f.deploy("last", wrap(emptyTemplate, "", "")).wantState("Succeeded")
	if n := len(f.store.List(typeDeployment, resource.ID{})); n != mostDeployments {
		t.Errorf("%d deployments", n)
	}
	f.get("owner", deployments+"first").want(404)
}

func TestAStoreThatFailsAtTheEnd(t *testing.T) {
	f := newFixture(t)
	started := f.put("owner", deployments+"x", wrap(emptyTemplate, "", "")).want(201)
	f.store.mu.Lock()
	f.store.fail = errors.New("disk full")
	f.store.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Deployments.Run(ctx); err != nil {
		t.Fatal(err)
	}
	f.store.mu.Lock()
	f.store.fail = nil
	f.store.mu.Unlock()
	f.Deployments = NewDeployments(DeploymentOptions{})
	f.Init()
	f.running()
	f.ended(started).wantState("Failed")
}

// A deployment goes on in the name of who started it only as long as they may sign
// in: what a token was good for once is not asked again.
func TestADeploymentStopsWithItsPrincipal(t *testing.T) {
	for name, gone := range map[string]func(access.ServicePrincipal) (access.ServicePrincipal, bool){
		"disabled": func(p access.ServicePrincipal) (access.ServicePrincipal, bool) { p.Disabled = true; return p, true },
		"deleted":  func(access.ServicePrincipal) (access.ServicePrincipal, bool) { return access.ServicePrincipal{}, false },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var left atomic.Bool
			known := f.Principal
			f.Principal = func(id string) (access.ServicePrincipal, bool) {
				p, ok := known(id)
				if left.Load() {
					return gone(p)
				}
				return p, ok
			}
			f.running()
			started := f.waiting("w")
			f.hooks.mu.Lock()
			link := f.link()
			f.hooks.mu.Unlock()
			left.Store(true)
			f.open("GET", link).want(200)
			if a := f.ended(started).wantState("Failed"); !strings.Contains(a.raw, "may not sign in any more") {
				t.Errorf("got %s", a.raw)
			}
			f.get("owner", customerRG+provider+"/topics/top2").want(404)
		})
	}
}
