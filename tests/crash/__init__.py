"""Real processes that run one job, die at chosen moments and start again; see docs/crash-matrix.md.

workload   rows with disorder and nulls, the query over them, and its answer in plain Python
controls   the smallest source and sink that keep the protocols
subjects   the sinks and sources that are put to the test, and how each is read back
producer   the process that goes on writing the source while jobs are killed
worker     the process that is killed: one job, armed with one fault
points     where in the job the worker kills or stops itself
broken     builds that are wrong on purpose, which the matrix must catch
trial      one job through several lives of the process, and the comparison
matrix     many trials, and the table
soak, backpressure
           long runs whose memory, descriptors and threads must stay flat
"""
