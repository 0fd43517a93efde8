using System.Buffers.Binary;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>A seccomp filter in the making: classic BPF over the number and the arguments of a system call (seccomp(2)).</summary>
internal sealed class SeccompFilter
{
    /// <summary>What a filter says of a call: refuse it with this error, as Linux numbers errors.</summary>
    public const uint NotPermitted = 0x0005_0001;
    public const uint NotImplemented = 0x0005_0026;
    public const uint Allow = 0x7FFF_0000;
    private const uint KillProcess = 0x8000_0000;
    private const uint FirstCallOfX32 = 0x4000_0000;

    private const ushort Load = 0x20;
    private const ushort And = 0x54;
    private const ushort JumpIfEqual = 0x15;
    private const ushort JumpIfGreater = 0x25;
    private const ushort JumpIfGreaterOrEqual = 0x35;
    private const ushort JumpIfAnySet = 0x45;
    private const ushort Return = 0x06;

    private readonly SyscallTable _table;
    private readonly List<Instruction> _code = [];
    private readonly List<int> _processIdAt = [];

    public SeccompFilter(SyscallTable table)
    {
        _table = table;

        // A call of another architecture (32-bit on x86-64) has other numbers, and no program here makes one by mistake.
        Add(Load, 4);
        Add(JumpIfEqual, table.AuditArchitecture, whenTrue: 1);
        Add(Return, KillProcess);
        Add(Load, 0);
        Add(JumpIfGreaterOrEqual, FirstCallOfX32, whenFalse: 1);
        Add(Return, NotImplemented);

        // What no header named when this was written: a program that finds it missing does without.
        Add(JumpIfGreater, SyscallTable.Newest, whenFalse: 1);
        Add(Return, NotImplemented);
    }

    private enum Test
    {
        Equal,
        NotEqual,
        Greater,
        AnySet,
        NoneSet,
    }

    /// <summary>Where, counted in instructions, the number of the confined process must be written, which nobody knows yet.</summary>
    public IReadOnlyList<int> ProcessIdAt => _processIdAt;

    public int Count => _code.Count;

    /// <summary>Refuses calls whatever their arguments are; one that the architecture has not is skipped.</summary>
    public SeccompFilter Refuse(uint answer, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (_table.Find(name) is { } number)
            {
                Add(JumpIfEqual, (uint)number, whenFalse: 1);
                Add(Return, answer);
            }
        }

        return this;
    }

    /// <summary>Decides calls by their arguments.</summary>
    /// <param name="names">The calls.</param>
    /// <param name="decide">Adds tests; the first that is true decides.</param>
    /// <param name="otherwise">The answer when none is.</param>
    public SeccompFilter Check(ReadOnlySpan<string> names, Action<Tests> decide, uint otherwise)
    {
        foreach (var name in names)
        {
            if (_table.Find(name) is not { } number)
            {
                continue;
            }

            var jump = _code.Count;
            Add(JumpIfEqual, (uint)number);
            decide(new Tests(this));
            Add(Return, otherwise);
            _code[jump] = _code[jump] with { WhenFalse = checked((byte)(_code.Count - jump - 1)) };
        }

        return this;
    }

    /// <summary>Ends the filter: what is not refused is allowed.</summary>
    /// <returns>The program, as the kernel takes it.</returns>
    public byte[] ToProgram()
    {
        var program = new byte[(_code.Count + 1) * 8];
        var place = 0;
        foreach (var instruction in (IEnumerable<Instruction>)[.. _code, new Instruction(Return, 0, 0, Allow)])
        {
            var bytes = program.AsSpan(8 * place++, 8);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes, instruction.Code);
            bytes[2] = instruction.WhenTrue;
            bytes[3] = instruction.WhenFalse;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], instruction.Value);
        }

        return program;
    }

    private void Add(ushort code, uint value, byte whenTrue = 0, byte whenFalse = 0) => _code.Add(new Instruction(code, whenTrue, whenFalse, value));

    /// <summary>Tests of a call's arguments, each of which decides when it is true.</summary>
    /// <remarks>They see the lower 32 bits, which are all that the kernel takes of a number, a flag or a process; pointers are tested by halves.</remarks>
    internal readonly struct Tests(SeccompFilter filter)
    {
        public Tests Equal(int argument, uint value, uint answer, uint mask = uint.MaxValue) => Add(argument, mask, Test.Equal, value, answer);

        public Tests NotEqual(int argument, uint value, uint answer, uint mask = uint.MaxValue) => Add(argument, mask, Test.NotEqual, value, answer);

        public Tests Greater(int argument, uint value, uint answer, uint mask = uint.MaxValue) => Add(argument, mask, Test.Greater, value, answer);

        public Tests AnySet(int argument, uint bits, uint answer) => Add(argument, uint.MaxValue, Test.AnySet, bits, answer);

        public Tests NoneSet(int argument, uint bits, uint answer) => Add(argument, uint.MaxValue, Test.NoneSet, bits, answer);

        public Tests NotNull(int argument, uint answer)
        {
            Add(argument, uint.MaxValue, Test.NotEqual, 0, answer);
            return Add(argument, uint.MaxValue, Test.NotEqual, 0, answer, upperHalf: true);
        }

        /// <summary>Whether the argument is the number of the confined process itself.</summary>
        public Tests OwnProcess(int argument, uint answer)
        {
            filter._processIdAt.Add(filter._code.Count + 1);
            return Add(argument, uint.MaxValue, Test.Equal, 0, answer);
        }

        private Tests Add(int argument, uint mask, Test test, uint value, uint answer, bool upperHalf = false)
        {
            filter.Add(Load, (uint)(16 + (8 * argument) + (upperHalf ? 4 : 0)));
            if (mask != uint.MaxValue)
            {
                filter.Add(And, mask);
            }

            var (code, isNegated) = test switch
            {
                Test.Equal => (JumpIfEqual, false),
                Test.NotEqual => (JumpIfEqual, true),
                Test.Greater => (JumpIfGreater, false),
                Test.AnySet => (JumpIfAnySet, false),
                _ => (JumpIfAnySet, true),
            };
            filter.Add(code, value, whenTrue: isNegated ? (byte)1 : (byte)0, whenFalse: isNegated ? (byte)0 : (byte)1);
            filter.Add(Return, answer);
            return this;
        }
    }

    private readonly record struct Instruction(ushort Code, byte WhenTrue, byte WhenFalse, uint Value);
}
