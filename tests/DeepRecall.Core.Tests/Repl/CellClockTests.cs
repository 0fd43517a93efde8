using DeepRecall.Repl;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Tests.Repl;

public sealed class CellClockTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly FakeTimeProvider _time = new();
    private int _expired;

    [Fact]
    public void CellThatRunsOver_ExpiresOnce()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        _time.Advance(9.9 * Second);
        Assert.Equal(0, _expired);
        _time.Advance(0.2 * Second);
        Assert.Equal(1, _expired);
        _time.Advance(100 * Second);
        Assert.Equal(1, _expired);
        Assert.Equal((110.1 * Second, TimeSpan.Zero), clock.Stop());
    }

    [Fact]
    public void CellThatEndsInTime_DoesNotExpireLater()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        _time.Advance(3 * Second);
        Assert.Equal((3 * Second, TimeSpan.Zero), clock.Stop());
        _time.Advance(100 * Second);
        Assert.Equal(0, _expired);
    }

    [Fact]
    public void TimeSpentWaiting_DoesNotCount()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        _time.Advance(6 * Second);
        var wait = clock.BeginWait();
        _time.Advance(1000 * Second);
        clock.EndWait(wait);
        _time.Advance(3.9 * Second);
        Assert.Equal(0, _expired);
        _time.Advance(0.2 * Second);
        Assert.Equal(1, _expired);
        Assert.Equal((1010.1 * Second, 1000 * Second), clock.Stop());
    }

    [Fact]
    public void WaitsThatOverlap_AreCountedOnce()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        var first = clock.BeginWait();
        _time.Advance(2 * Second);
        var second = clock.BeginWait();
        _time.Advance(2 * Second);
        clock.EndWait(first);
        _time.Advance(50 * Second);
        clock.EndWait(second);
        _time.Advance(1 * Second);
        Assert.Equal((55 * Second, 54 * Second), clock.Stop());
        Assert.Equal(0, _expired);
    }

    [Fact]
    public void EachCell_HasTheWholeTime()
    {
        using var clock = new CellClock(_time, 10 * Second);
        for (var cell = 0; cell < 20; cell++)
        {
            clock.Start(Expire);
            _time.Advance(7 * Second);
            clock.Stop();
            Assert.Equal(0, _expired);
        }

        clock.Start(Expire);
        _time.Advance(10.1 * Second);
        Assert.Equal(1, _expired);
    }

    [Fact]
    public void CellAfterOneThatExpired_HasTheWholeTime()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        _time.Advance(11 * Second);
        clock.Stop();
        clock.Start(Expire);
        _time.Advance(9 * Second);
        Assert.Equal(1, _expired);
        _time.Advance(2 * Second);
        Assert.Equal(2, _expired);
    }

    [Fact]
    public void WaitThatOutlivesItsCell_DoesNotTouchTheNextOne()
    {
        using var clock = new CellClock(_time, 10 * Second);
        clock.Start(Expire);
        var late = clock.BeginWait();
        _time.Advance(5 * Second);
        Assert.Equal((5 * Second, 5 * Second), clock.Stop());

        clock.Start(Expire);
        _time.Advance(4 * Second);
        var own = clock.BeginWait();
        clock.EndWait(late);
        _time.Advance(100 * Second);
        clock.EndWait(own);
        _time.Advance(5 * Second);
        Assert.Equal(0, _expired);
        _time.Advance(2 * Second);
        Assert.Equal(1, _expired);
        Assert.Equal(100 * Second, clock.Stop().Waited);
    }

    [Fact]
    public void InfiniteLimit_NeverExpires()
    {
        using var clock = new CellClock(_time, Timeout.InfiniteTimeSpan);
        clock.Start(Expire);
        _time.Advance(TimeSpan.FromDays(100));
        Assert.Equal(0, _expired);
        Assert.Equal(TimeSpan.FromDays(100), clock.Stop().Elapsed);
    }

    private void Expire() => _expired++;
}
