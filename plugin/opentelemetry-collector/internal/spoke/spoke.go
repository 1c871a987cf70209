// Package spoke follows a hub: it asks for the hub's state again and again, hands on what has changed, and says when the last
// answer is too old to be used.
package spoke

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Follower is whoever uses the state. All calls come from one goroutine.
type Follower interface {
	// SetAhead tells by how much the hub's clock is ahead of this machine's, before each Apply.
	SetAhead(ahead time.Duration)
	// Apply puts a state in the place of the one before. After an error it is asked for again.
	Apply(ctx context.Context, state State) error
	// Drop forgets the state: it is too old.
	Drop(ctx context.Context)
	// Polled counts one request.
	Polled(ctx context.Context, result Result)
}

// Result is what became of one request.
type Result string

const (
	// Changed is an answer with a state that is in force now.
	Changed Result = "changed"
	// Unchanged is the answer that the state is the one that is in force.
	Unchanged Result = "unchanged"
	// Refused is an answer with another status, for example 401.
	Refused Result = "refused"
	// Invalid is an answer that cannot be read or used.
	Invalid Result = "invalid"
	// Failed is no answer.
	Failed Result = "failed"
)

// Settings of a spoke; all are required.
type Settings struct {
	// Endpoint is the hub's URL, without the path `/v1/state`.
	Endpoint string
	// Token is the bearer token for it; empty when the client has an authenticator.
	Token string
	// Client has a timeout.
	Client *http.Client
	// Interval is between one answer and the next request, give or take a tenth.
	Interval time.Duration
	Follower Follower
	Logger   *zap.Logger
}

// Spoke follows until it is stopped.
type Spoke struct {
	settings Settings
	cancel   context.CancelFunc
	done     chan struct{}
	// etag is of the state that is in force; empty when none is.
	etag string
	// expires is when the state must no longer be used, by the monotonic clock; zero while there is none.
	expires time.Time
	// isFailing is set while the last request failed, so that a hub that is away is one line in the log and not one a request.
	isFailing bool
	ahead     time.Duration
}

// aheadTold is from which difference of the clocks, and change of it, the log says so.
const aheadTold = time.Minute

// Start begins to follow, in a goroutine of its own.
func Start(settings Settings) *Spoke {
	ctx, cancel := context.WithCancel(context.Background())
	spoke := &Spoke{settings: settings, cancel: cancel, done: make(chan struct{})}
	go spoke.run(ctx)
	return spoke
}

// Stop ends the goroutine and waits for it.
func (s *Spoke) Stop() {
	s.cancel()
	<-s.done
	s.settings.Client.CloseIdleConnections()
}

func (s *Spoke) run(ctx context.Context) {
	defer close(s.done)
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		expired, stop := s.untilExpiry()
		select {
		case <-ctx.Done():
			stop()
			return
		case <-expired:
			s.expire(ctx)
		case <-next.C:
			s.poll(ctx)
			next.Reset(spread(s.settings.Interval))
		}
		stop()
	}
}

// untilExpiry gives a channel that tells when the state is too old; never while there is none.
func (s *Spoke) untilExpiry() (expired <-chan time.Time, stop func()) {
	if s.expires.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(s.expires))
	return timer.C, func() { timer.Stop() }
}

func (s *Spoke) expire(ctx context.Context) {
	s.settings.Logger.Warn("the hub has not answered for its time to live: nothing is marked until it is back",
		zap.String("hub", s.settings.Endpoint))
	s.settings.Follower.Drop(ctx)
	// The next answer must bring the state, and not that it is unchanged.
	s.etag, s.expires = "", time.Time{}
}

func (s *Spoke) poll(ctx context.Context) {
	requestContext, cancel := ctx, context.CancelFunc(func() {})
	if !s.expires.IsZero() {
		// A hub that hangs must not keep marks alive.
		requestContext, cancel = context.WithDeadline(ctx, s.expires)
	}
	result, err := s.ask(requestContext)
	cancel()
	if ctx.Err() != nil {
		return
	}
	s.settings.Follower.Polled(ctx, result)
	switch {
	case err == nil && s.isFailing:
		s.settings.Logger.Info("the hub answers again", zap.String("hub", s.settings.Endpoint))
	case err != nil && !s.isFailing:
		s.settings.Logger.Warn("the hub cannot be followed; what it said last holds for its time to live",
			zap.String("hub", s.settings.Endpoint), zap.String("result", string(result)), zap.Error(err))
	}
	s.isFailing = err != nil
}

// ask makes one request and uses its answer.
func (s *Spoke) ask(ctx context.Context) (Result, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.settings.Endpoint, "/")+"/v1/state", nil)
	if err != nil {
		return Failed, err
	}
	if s.settings.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.settings.Token)
	}
	if s.etag != "" {
		request.Header.Set("If-None-Match", s.etag)
	}
	response, err := s.settings.Client.Do(request)
	if err != nil {
		return Failed, err
	}
	received := time.Now()
	defer func() {
		// Read to the end, within reason, so that the connection can be used again.
		_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
		_ = response.Body.Close()
	}()
	switch response.StatusCode {
	case http.StatusOK:
		state, alive, err := readAnswer(response.Body)
		if err != nil {
			return Invalid, err
		}
		s.setAhead(alive.now.Sub(received))
		// The deadline is for the answer, not for its use.
		if err := s.settings.Follower.Apply(context.WithoutCancel(ctx), state); err != nil {
			return Invalid, err
		}
		s.etag, s.expires = response.Header.Get("ETag"), received.Add(alive.timeToLive)
		return Changed, nil
	case http.StatusNotModified:
		if s.etag == "" {
			return Invalid, fmt.Errorf("the hub says that nothing has changed, and was not asked that")
		}
		alive, err := readHeaders(response.Header)
		if err != nil {
			return Invalid, err
		}
		s.setAhead(alive.now.Sub(received))
		s.expires = received.Add(alive.timeToLive)
		return Unchanged, nil
	case http.StatusUnauthorized:
		return Refused, fmt.Errorf("the hub answered %s: `hub::token` is none of its `spokes.tokens`", response.Status)
	default:
		return Refused, fmt.Errorf("the hub answered %s", response.Status)
	}
}

func (s *Spoke) setAhead(ahead time.Duration) {
	if change := (ahead - s.ahead).Abs(); change >= aheadTold {
		s.settings.Logger.Warn("the hub's clock is not this machine's; the hub's decides when incidents end",
			zap.Duration("ahead", ahead))
		s.ahead = ahead
	}
	s.settings.Follower.SetAhead(ahead)
}

// spread keeps spokes that were started together from asking together.
func spread(interval time.Duration) time.Duration {
	tenth := max(int64(interval)/10, 1)
	return interval - time.Duration(tenth) + time.Duration(rand.Int64N(2*tenth))
}
