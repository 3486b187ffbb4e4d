using Quench.SystemTests.Guests;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A machine with a service manager: a unit of it that writes without a pause is frozen, or stopped, over the instant, and goes on whatever happens to us.</summary>
public sealed class GuestUnitTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(20);

    private readonly TempFolder _folder = new("guest-unit");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_unit_is_held_over_the_instant_and_goes_on_whatever_happens_to_the_one_who_asked()
    {
        string disk = Requires.Guest();
        string live = _folder["live.img"];
        await Tool.RunAsync("cp", "--sparse=always", disk, live);
        string tools = await GuestTools.MakeAsync(_folder, Program, (Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory), "tests"));
        string store = await GuestTools.MakeDiskAsync(_folder, "vault", null, "1G");
        await using GuestMachine guest = await GuestMachine.StartAsync(_folder.Path, "live", $"file={live}", "run", tools, store);
        int told = 0;
        await Wait.UntilAsync(
            () =>
            {
                bool hasEnded = guest.Ended.IsCompleted;
                foreach (string line in guest.Said.Skip(told).ToArray())
                {
                    told++;
                    Figures.Say($"unit: {line}");
                }

                return hasEnded;
            },
            s_limit,
            "the guest's program ends");
        int code = await guest.Ended;
        Assert.True(code == 0, string.Join('\n', guest.Said));
        Assert.Contains("all of it", guest.Said);
    }

    private const string Program = """
        #!/bin/bash
        # In the guest, as PID 1's child: each step says what it saw; one that is not as it should be ends it.
        export HOME=/root PATH=/run/tools/dotnet:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        export LD_LIBRARY_PATH=/run/tools/lib DOTNET_ROOT=/run/tools/dotnet DOTNET_EnableDiagnostics=0 DOTNET_TieredPGO=0
        export QUENCH_SELF=/run/tools/quench/quench.dll QUENCH_VAULT=/run/vault/v QUENCH_PASSWORD="a password for the guest"
        quench() { dotnet /run/tools/quench/quench.dll "$@"; }
        fail() { echo "FAILED: $*"; cat /run/out 2>/dev/null; systemctl status app --no-pager 2>&1 | head -n 20; exit 1; }
        now() { echo "${EPOCHREALTIME/./}"; }                       # microseconds
        count() { local n; read -r n </var/lib/app/n; echo "${n:-0}"; }
        shows() { systemctl show app.service -p "$1" --value; }
        goes_on() {                                                 # prints how many milliseconds it took
            local since until n=$(count)
            since=$(now) until=$(($(now) + $1 * 1000))
            while [ "$(count)" = "$n" ]; do (($(now) < until)) || return 1; done
            echo $((($(now) - since) / 1000))
        }
        stands_still() { local n=$(count); sleep 1; [ "$(count)" = "$n" ]; }

        # The application: two processes that write again and again, and keep what is older than the newest in memory.
        mkdir -p /run/systemd/system
        cat >/run/app <<'APP'
        #!/bin/bash
        trap 'exit 0' TERM
        exec 8<> <(:)
        for ((n = $(cat /var/lib/app/n 2>/dev/null || echo 0); ; n++)); do
            echo $n >/var/lib/app/new; mv /var/lib/app/new /var/lib/app/n
            read -rt 0.02 <&8 # an emulated processor has others to serve too
        done
        APP
        printf '[Service]\nStateDirectory=app\nExecStart=/bin/bash /run/app\n' >/run/systemd/system/app.service
        systemctl daemon-reload
        systemctl start app || fail "the application does not start"
        until [ -e /var/lib/app/n ]; do sleep 0.1; done
        echo "note: $(uname -r), $(systemctl --version | head -n 1), freezes: $(shows CanFreeze)"
        set=(--writer-option systemd.units=app.service --writer-limit 60 --provider-limit 10) # a machine of software, on one that is busy

        # A test of the writer, both ways.
        run=$(shows InvocationID)
        quench writers test systemd / --yes "${set[@]}" >/run/out 2>&1 || fail "the writer did not hold by freezing"
        echo "note: freeze: $(head -n 1 /run/out)"
        [ "$(shows FreezerState)" = running ] && [ "$(shows InvocationID)" = "$run" ] && goes_on 2000 >/dev/null || fail "it does not go on after a freeze"
        quench writers test systemd / --yes "${set[@]}" --writer-option systemd.manner=stop >/run/out 2>&1 || fail "the writer did not hold by stopping"
        echo "note: stop: $(head -n 1 /run/out)"
        [ "$(shows ActiveState)" = active ] && [ "$(shows InvocationID)" != "$run" ] && goes_on 2000 >/dev/null || fail "it was not stopped and started"

        # What can't be held says so, and nothing happens to it.
        quench writers test systemd / --yes --json --writer-option systemd.units=nosuch.service,quench-guest.service,systemd-journald.service --writer-option systemd.folders.nosuch.service=/ \
            --writer-option systemd.folders.quench-guest.service=/ --writer-option systemd.folders.systemd-journald.service=/ >/run/out 2>&1 && fail "what can't be held was held"
        for words in "knows no unit" "Quench itself runs in it" "the machine itself needs"; do
            grep -q "$words" /run/out || fail "nobody said: $words"
            echo "note: refused: $words"
        done

        # The process that holds it is killed, hangs, or loses its guard.
        hold() { # limit, more words
            : >/run/held
            dotnet /run/tools/tests/Quench.SystemTests.dll hold-writers / "$@" systemd.units=app.service <"${say:-/dev/null}" >/run/held 2>&1 &
            holder=$!
            until grep -q holds /run/held; do kill -0 $holder 2>/dev/null || { cat /run/held; fail "the holder ended"; }; sleep 0.05; done
        }
        for round in 1 2 3; do
            hold 60000
            [ "$(shows FreezerState)" = frozen ] && stands_still || fail "it is not frozen"
            kill -KILL $holder
            took=$(goes_on 5000) || fail "it stays frozen when its holder is killed"
            wait $holder 2>/dev/null
            echo "note: freeze: the holder was killed, and it went on after $took ms"
            [ "$(shows FreezerState)" = running ] || { sleep 3; [ "$(shows FreezerState)" = running ] || fail "systemd thinks that it is frozen"; }
        done
        hold 15000
        kill -STOP $holder
        took=$(goes_on 30000) || fail "it stays frozen after the limit"
        echo "note: freeze: the holder hung, with a limit of 15000 ms, and it went on $took ms after that"
        kill -KILL $holder; wait $holder 2>/dev/null
        hold 60000
        guard=$(grep -lz "hold-[g]uard" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | head -n 1)
        kill -KILL "$guard"
        took=$(goes_on 5000) || fail "it stays frozen when its guard is killed"
        echo "note: freeze: the guard was killed, and it went on after $took ms"
        kill -KILL $holder; wait $holder 2>/dev/null
        hold 60000 systemd.manner=stop
        [ "$(shows ActiveState)" = inactive ] && stands_still || fail "it is not stopped"
        kill -KILL $holder
        took=$(goes_on 10000) || fail "it stays stopped when its holder is killed"
        wait $holder 2>/dev/null
        echo "note: stop: the holder was killed, and it went on after $took ms"

        # The kernel knows whether somebody else thawed it meanwhile, if only for a moment.
        mkfifo /run/say
        exec 9<>/run/say
        answers() { # words of systemctl done meanwhile…; then what the writer answered
            local say=/run/say word
            hold 60000
            for word in "$@"; do systemctl $word app.service || fail "systemctl $word"; done
            echo >&9
            wait $holder
            tail -n 1 /run/held
        }
        answer=$(answers)
        [[ "$answer" == held:* ]] || fail "undisturbed: $answer"
        answer=$(answers thaw freeze)
        [[ "$answer" == lost:*"if only for a moment" ]] || fail "thawed meanwhile: $answer"
        echo "note: $answer"
        goes_on 5000 >/dev/null || fail "it does not go on"

        # A whole backup of the root, frozen and stopped.
        mkdir -p /run/vault
        mount LABEL=vault /run/vault || fail "no vault"
        quench init >/dev/null || fail "no vault"
        for manner in freeze stop; do
            quench backup / --freeze-root --json "${set[@]}" --writer-option systemd.manner=$manner >/run/out 2>&1 || fail "the backup failed"
            grep -q '"grade": *"application"' /run/out || fail "the backup is not of application grade"
            goes_on 5000 >/dev/null || fail "it does not go on after a backup"
            echo "note: $manner: a backup of application grade"
            quench show latest | grep -i systemd | sed 's/^/note: /'
        done
        [ "$(shows FreezerState)" = running ] && [ "$(shows ActiveState)" = active ] || fail "it is not as it was"
        echo "all of it"
        """;
}
