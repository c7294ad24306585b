with
exposure_by_term as {{ rows_of(ref('exposure_by_term')) }},

{{ number_spine(5) }},

terms as (
    select distinct t.ifrs9_stage, t.interest_rate, t.probability_of_default, t.months_left
    from exposure_by_term as t
    where t.probability_of_default is not null
),

-- As many months as the longest term has, whatever that is.
months as (
    select s.n
    from spine as s
    where s.n >= 1 and s.n <= (select max(case when t.ifrs9_stage = 2 or t.months_left < 12 then t.months_left else 12 end) from terms as t)
),

monthly as (
    select t.*, cast(t.interest_rate as float) / 12 as rate, 1 - cast(t.probability_of_default as float) as survival
    from terms as t
),

-- What one unit of exposure loses per unit of loss given default. Default comes in month n with the probability of surviving
-- n - 1 months and not the n-th, survival^((n-1)/12) - survival^(n/12). By then n - 1 instalments of the annuity are paid, and
-- ((1+i)^L - (1+i)^(n-1)) / ((1+i)^L - 1) of the exposure is left; without interest it runs off in equal steps. The loss is
-- discounted over n months by the loan's own monthly rate, which is its effective rate: there are no fees.
-- In stage 3 the default has happened: the factor is 1.
steps as (
    select
        m.ifrs9_stage,
        m.interest_rate,
        m.probability_of_default,
        m.months_left,
        -- Added as decimals: a sum of floats depends on the order of its rows, which a plan is free to choose.
        sum(cast(
            (power(m.survival, (s.n - 1) / 12.0e0) - power(m.survival, s.n / 12.0e0))
            * case
                when m.rate = 0 then cast(m.months_left - s.n + 1 as float) / m.months_left
                else (power(1 + m.rate, m.months_left) - power(1 + m.rate, s.n - 1)) / (power(1 + m.rate, m.months_left) - 1)
            end
            / power(1 + m.rate, s.n)
            as numeric(28, 18)
        )) as loss
    from monthly as m
    inner join months as s on s.n <= m.months_left and (m.ifrs9_stage = 2 or s.n <= 12)
    group by m.ifrs9_stage, m.interest_rate, m.probability_of_default, m.months_left
),

final as (
    select
        s.ifrs9_stage,
        s.interest_rate,
        s.probability_of_default,
        s.months_left,
        cast(case when s.ifrs9_stage = 3 then 1 else s.loss end as numeric(28, 10)) as factor
    from steps as s
)

select * from final
