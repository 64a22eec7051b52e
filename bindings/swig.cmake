# The SWIG that the bindings are made for: the one that is here, else PyPI's, in a virtual environment
# of the build folder. Sets SWIG_EXECUTABLE.
set(SWIG_PINNED 4.5.1)
set(SWIG_VENV ${CMAKE_BINARY_DIR}/swig)

find_program(SWIG_EXECUTABLE NAMES swig HINTS ${SWIG_VENV}/bin)
if(SWIG_EXECUTABLE)
  execute_process(COMMAND ${SWIG_EXECUTABLE} -version OUTPUT_VARIABLE SWIG_SAYS)
endif()
if(NOT SWIG_SAYS MATCHES "SWIG Version ${SWIG_PINNED}")
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(COMMAND ${Python3_EXECUTABLE} -m venv ${SWIG_VENV} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${SWIG_VENV}/bin/pip install --quiet swig==${SWIG_PINNED}
    COMMAND_ERROR_IS_FATAL ANY)
  set(SWIG_EXECUTABLE ${SWIG_VENV}/bin/swig CACHE FILEPATH "" FORCE)
endif()
